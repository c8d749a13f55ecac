#include "base/error.hpp"

#include <doctest/doctest.h>

#include <cerrno>

using namespace liveswap;

TEST_CASE("error: a number that libc has no words for is said as it is") {
  CHECK(error_text(ENOENT) == "No such file or directory");
  for (const int number : {200, -1, 100'000}) CHECK(error_text(number) == "error " + std::to_string(number));
  CHECK(os_error("bind", "/x", 200).text == "cannot bind /x: error 200");
}
