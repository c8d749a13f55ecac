#include "cli/watch_frame.hpp"

#include <doctest/doctest.h>

using namespace liveswap::cli;
using namespace std::chrono_literals;

TEST_CASE("a master that stays is not spoken of; one that goes and one that comes is") {
  MasterWatch watch;
  CHECK(watch.answered(7, 0ms).empty());
  CHECK(watch.answered(7, 1000ms).empty());
  CHECK(watch.unreachable("no master", 2000ms) ==
        "the master has been away for 0 ms, waiting for it: no master");
  CHECK(watch.unreachable("no master", 4500ms) ==
        "the master has been away for 2.5 s, waiting for it: no master");
  CHECK(watch.answered(9, 5000ms) == "a master came back 0 ms ago (pid 9), it was away for 3.0 s");
  CHECK(watch.answered(9, 6000ms) == "a master came back 1.0 s ago (pid 9), it was away for 3.0 s");
  CHECK(watch.answered(10, 7000ms) == "a master came back 0 ms ago (pid 10)");
}

TEST_CASE("a frame writes over the one before, line by line, and never scrolls") {
  CHECK(frame("a\nb\n", {10, false, true, 4}) == "\x1b[Ha\x1b[K\r\nb\x1b[K\x1b[J");
  CHECK(frame("a\nb\nc\nd\n", {20, false, true, 3}) ==
        "\x1b[Ha\x1b[K\r\nb\x1b[K\r\n... 2 more lines\x1b[K\x1b[J");
  CHECK(frame("abcdefgh\n", {6, false, true, 3}) == "\x1b[Habc...\x1b[K\x1b[J");
}
