#pragma once

namespace liveswap::test {

// Whether this is a build with a sanitizer: processes are larger and slower, and have threads, memory and
// output of the sanitizer.
constexpr bool sanitized() { return SANITIZED; }

}  // namespace liveswap::test
