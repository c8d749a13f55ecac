#pragma once

#include <doctest/doctest.h>

#include <cstdlib>

namespace liveswap::test {

// Test cases and files that test/run does not run with a sanitizer (test/support/not-sanitized), as patterns
// of doctest.
inline void leave_out(doctest::Context& context) {
  if (const char* cases = std::getenv("LIVESWAP_CASES_LEFT_OUT"))
    context.addFilter("test-case-exclude", cases);
  if (const char* files = std::getenv("LIVESWAP_FILES_LEFT_OUT"))
    context.addFilter("source-file-exclude", files);
}

}  // namespace liveswap::test
