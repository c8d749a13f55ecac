#pragma once

#include <doctest/doctest.h>

#include <cstdlib>

namespace liveswap::test {

inline void leave_out_by(doctest::Context& context, const char* variable, const char* filter) {
  if (const char* patterns = std::getenv(variable)) context.addFilter(filter, patterns);
  // A master that a test starts must not pass the variable on to its workers.
  unsetenv(variable);
}

// Test cases and files that test/run does not run with a sanitizer (test/support/not-sanitized), as patterns
// of doctest.
inline void leave_out(doctest::Context& context) {
  leave_out_by(context, "LIVESWAP_CASES_LEFT_OUT", "test-case-exclude");
  leave_out_by(context, "LIVESWAP_FILES_LEFT_OUT", "source-file-exclude");
}

}  // namespace liveswap::test
