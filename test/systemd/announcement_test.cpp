#include "systemd/announcement.hpp"

#include <doctest/doctest.h>

namespace liveswap::systemd {
namespace {

using namespace std::chrono_literals;

std::string tell(Announcement& announcement, Phase phase, const std::string& text) {
  auto message = announcement.next(phase, text, 5s, 7);
  announcement.told(phase, text);
  return message;
}

TEST_CASE("phases are told once, and texts when they change") {
  Announcement announcement;
  CHECK_FALSE(announcement.phase());
  CHECK(tell(announcement, Phase::starting, "a") == "STATUS=a\n");
  CHECK(tell(announcement, Phase::starting, "a").empty());
  CHECK(tell(announcement, Phase::serving, "b") == "READY=1\nMAINPID=7\nSTATUS=b\n");
  CHECK(tell(announcement, Phase::serving, "b").empty());
  CHECK(tell(announcement, Phase::serving, "c") == "STATUS=c\n");
  CHECK(tell(announcement, Phase::reloading, "c") == "RELOADING=1\nMONOTONIC_USEC=5000000\n");
  CHECK(tell(announcement, Phase::reloading, "d") == "STATUS=d\n");
  CHECK(tell(announcement, Phase::serving, "d") == "READY=1\nMAINPID=7\n");
  CHECK(tell(announcement, Phase::stopping, "e") == "STOPPING=1\nSTATUS=e\n");
  CHECK(tell(announcement, Phase::stopping, "e").empty());
}

TEST_CASE("a message that was not sent is made anew from what is the case then") {
  Announcement announcement;
  tell(announcement, Phase::serving, "a");
  CHECK(announcement.next(Phase::reloading, "b", 1s, 7) == "RELOADING=1\nMONOTONIC_USEC=1000000\nSTATUS=b\n");
  CHECK(announcement.next(Phase::stopping, "c", 2s, 7) == "STOPPING=1\nSTATUS=c\n");
  CHECK(announcement.next(Phase::serving, "a", 2s, 7).empty());
}

TEST_CASE("a reload whose begin was told otherwise ends by READY=1") {
  Announcement announcement;
  tell(announcement, Phase::serving, "a");
  announcement.told(Phase::reloading);
  CHECK(announcement.next(Phase::reloading, "a", 1s, 7).empty());
  CHECK(announcement.next(Phase::serving, "a", 1s, 7) == "READY=1\nMAINPID=7\n");
}

}  // namespace
}  // namespace liveswap::systemd
