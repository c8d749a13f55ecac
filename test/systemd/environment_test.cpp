#include "systemd/environment.hpp"

#include <doctest/doctest.h>

#include <map>

namespace liveswap::systemd {
namespace {

Lookup in(std::map<std::string, std::string> variables) {
  return [variables](const char* name) {
    const auto found = variables.find(name);
    return found == variables.end() ? std::nullopt : std::optional(found->second);
  };
}

std::size_t count(std::map<std::string, std::string> variables) {
  const auto passed = passed_descriptors(in(std::move(variables)), 7);
  return passed ? passed->names.size() : 999;
}

TEST_CASE("descriptors are taken only by the process that they are meant for") {
  CHECK(count({}) == 0);
  CHECK(count({{"LISTEN_FDS", "2"}}) == 0);
  CHECK(count({{"LISTEN_PID", "7"}}) == 0);
  CHECK(count({{"LISTEN_PID", "8"}, {"LISTEN_FDS", "2"}}) == 0);
  CHECK(count({{"LISTEN_PID", "seven"}, {"LISTEN_FDS", "2"}}) == 0);
  CHECK(count({{"LISTEN_PID", "7"}, {"LISTEN_FDS", "2"}}) == 2);
  CHECK(count({{"LISTEN_PID", "7"}, {"LISTEN_FDS", "0"}, {"LISTEN_FDNAMES", ""}}) == 0);
}

TEST_CASE("a number of descriptors that is none is an error") {
  for (const char* text : {"", "-1", "two", "2 ", "70000"})
    CHECK_FALSE(passed_descriptors(in({{"LISTEN_PID", "7"}, {"LISTEN_FDS", text}}), 7));
}

TEST_CASE("each descriptor has a name") {
  const auto names = [](const std::string& text, const char* number) {
    return passed_descriptors(in({{"LISTEN_PID", "7"}, {"LISTEN_FDS", number}, {"LISTEN_FDNAMES", text}}), 7);
  };
  CHECK(names("web:admin", "2")->names == std::vector<std::string>{"web", "admin"});
  CHECK(names("web:", "2")->names == std::vector<std::string>{"web", ""});
  const auto wrong = names("web", "2");
  REQUIRE_FALSE(wrong);
  CHECK(wrong.error().text == "LISTEN_FDNAMES: found 1 names in \"web\", expected 2, as LISTEN_FDS says");
}

TEST_CASE("the watchdog is meant for one process") {
  CHECK_FALSE(watchdog_interval(in({}), 7));
  CHECK(watchdog_interval(in({{"WATCHDOG_USEC", "3000000"}}), 7) == Microseconds(3'000'000));
  CHECK(watchdog_interval(in({{"WATCHDOG_USEC", "5"}, {"WATCHDOG_PID", "7"}}), 7) == Microseconds(5));
  CHECK_FALSE(watchdog_interval(in({{"WATCHDOG_USEC", "5"}, {"WATCHDOG_PID", "8"}}), 7));
  for (const char* text : {"", "0", "-5", "5s", "99999999999999999999"})
    CHECK_FALSE(watchdog_interval(in({{"WATCHDOG_USEC", text}}), 7));
}

TEST_CASE("variables of the service manager are not for children") {
  for (const char* entry : {"NOTIFY_SOCKET=/run/x", "LISTEN_PID=1", "LISTEN_FDS=", "LISTEN_FDNAMES=a",
                            "WATCHDOG_USEC=1", "WATCHDOG_PID=1", "FDSTORE=3"})
    CHECK(is_for_main_process(entry));
  for (const char* entry : {"PATH=/bin", "LISTEN=1", "LISTEN_FDSX=1", "INVOCATION_ID=a"})
    CHECK_FALSE(is_for_main_process(entry));
}

TEST_CASE("a name in the store has the listener and the number of the socket") {
  CHECK(stored_name({"web", 3}) == "web#3");
  const auto name = parse_stored_name("web#12");
  REQUIRE(name);
  CHECK(name->listener == "web");
  CHECK(name->number == 12);
  for (const char* text : {"web", "web#", "#1", "web#x", "web#-1", "web#1a", ""})
    CHECK_FALSE(parse_stored_name(text));
}

}  // namespace
}  // namespace liveswap::systemd
