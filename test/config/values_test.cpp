#include "config/values.hpp"

#include <doctest/doctest.h>

#include "config/limits.hpp"
#include "shown.hpp"

using namespace liveswap;
using namespace liveswap::config;
using namespace std::chrono_literals;

namespace {
struct Bad {
  std::string text;
  std::string error;
};

template <class Parse>
void check_bad(Parse parse, std::initializer_list<Bad> rows) {
  for (const auto& [text, error] : rows) {
    CAPTURE(text);
    CHECK(error_of(parse(text)) == error);
  }
}

const std::string duration_expected = ", expected a duration such as 100ms, 2s, 1m or 1h";
}  // namespace

TEST_CASE("durations") {
  CHECK(*parse_duration("0ms") == 0ms);
  CHECK(*parse_duration("100ms") == 100ms);
  CHECK(*parse_duration("2s") == 2s);
  CHECK(*parse_duration("1m") == 1min);
  CHECK(*parse_duration("576h") == longest_duration);
  CHECK(*parse_duration("2073600000ms") == longest_duration);
  CHECK(longest_duration.count() <= std::numeric_limits<std::int32_t>::max());
  check_bad(parse_duration,
            {{"5", "found \"5\", expected a unit behind it: 5ms, 5s, 5m or 5h"},
             {"", "found \"\"" + duration_expected},
             {"s", "found \"s\"" + duration_expected},
             {"-1s", "found \"-1s\"" + duration_expected},
             {"+1s", "found \"+1s\"" + duration_expected},
             {" 1s", "found \" 1s\"" + duration_expected},
             {"1 s", "found \"1 s\"" + duration_expected},
             {"1s ", "found \"1s \"" + duration_expected},
             {"1.5s", "found \"1.5s\"" + duration_expected},
             {"1S", "found \"1S\"" + duration_expected},
             {"1d", "found \"1d\"" + duration_expected},
             {"1h30m", "found \"1h30m\"" + duration_expected},
             {"none", "found \"none\"" + duration_expected},
             {"577h", "found \"577h\", expected at most 576h"},
             {"2073600001ms", "found \"2073600001ms\", expected at most 576h"},
             {"5124095576030432h", "found \"5124095576030432h\", expected at most 576h"},
             {"99999999999999999999s", "found \"99999999999999999999s\", expected at most 576h"}});
}

TEST_CASE("durations that may be none") {
  CHECK(*parse_optional_duration("none") == -1ms);
  CHECK(*parse_optional_duration("1s") == 1s);
  CHECK(error_of(parse_optional_duration("no")) == "found \"no\"" + duration_expected + ", or none");
}

TEST_CASE("amounts") {
  const auto share = parse_amount("50%");
  REQUIRE(share);
  CHECK(share->value == 50);
  CHECK(share->percent);
  CHECK_FALSE(parse_amount("2")->percent);
  CHECK(parse_amount("1024")->value == 1024);
  CHECK(parse_amount("0%")->value == 0);
  CHECK(parse_amount("1000%")->value == 1000);
  for (const char* text :
       {"", "%", "-1", "1025", "1001%", "50 %", "50%%", "%50", "1.5", "all", "99999999999999999999"}) {
    CAPTURE(text);
    CHECK(error_of(parse_amount(text)) ==
          "found \"" + std::string(text) +
              "\", expected a number from 0 to 1024 or a share from 0% to 1000%");
  }
}

TEST_CASE("listeners") {
  struct Row {
    const char* text;
    const char* name;
    const char* address;
  };
  for (const auto& [text, name, address] : {Row{"web=127.0.0.1:80", "web", "127.0.0.1:80"},
                                            {"127.0.0.1:80", "", "127.0.0.1:80"},
                                            {"[::1]:80", "", "[::1]:80"},
                                            {"v6=[::1]:80", "v6", "[::1]:80"},
                                            {"unix:/run/x", "", "unix:/run/x"},
                                            {"unix:/a=b", "", "unix:/a=b"},
                                            {"admin=unix:/run/x", "admin", "unix:/run/x"},
                                            {"A.b_c-9=*:1", "A.b_c-9", "*:1"}}) {
    CAPTURE(text);
    const auto listener = parse_listener(text);
    REQUIRE(listener);
    CHECK(listener->name == name);
    CHECK(listener->address == address);
  }
  const std::string rule = ", expected 1 to 64 letters, digits, \".\", \"_\" or \"-\"";
  check_bad(parse_listener,
            {{"=*:80", "found the name \"\" in \"=*:80\"" + rule},
             {"a b=*:80", "found the name \"a b\" in \"a b=*:80\"" + rule},
             {"web=", "found \"\", expected host:port, [::1]:port, *:port or unix:/path"},
             {"web=80", "found \"80\", expected host:port, [::1]:port, *:port or unix:/path"}});
  CHECK(parse_listener(std::string(64, 'n') + "=*:80"));
  CHECK_FALSE(parse_listener(std::string(65, 'n') + "=*:80"));
}

TEST_CASE("numbers of workers and ports") {
  CHECK(*parse_forks("auto") == 0);
  CHECK(*parse_forks("1") == 1);
  CHECK(*parse_forks("1024") == 1024);
  for (const char* text : {"", "0", "1025", "-1", "Auto", "2x", "0x2", "4294967297", "18446744073709551617"})
    CHECK(error_of(parse_forks(text)) ==
          "found \"" + std::string(text) + "\", expected a number from 1 to 1024, or auto");

  CHECK(*parse_port("1") == 1);
  CHECK(*parse_port("65535") == 65535);
  for (const char* text : {"", "0", "65536", "-1", "http", "80 ", " 80", "8e1"})
    CHECK(error_of(parse_port(text)) ==
          "found \"" + std::string(text) + "\", expected a number from 1 to 65535");

  CHECK(*parse_batch("1024") == 1024);
  CHECK(*parse_batch("auto") == 0);
  check_bad(parse_batch, {{"0", "found \"0\", expected a number from 1 to 1024, or auto"}});
  CHECK(*parse_backlog("2147483647") == 2147483647);
  check_bad(parse_backlog, {{"2147483648", "found \"2147483648\", expected a number from 1 to 2147483647"}});
}

TEST_CASE("words") {
  CHECK(*parse_switch("true"));
  CHECK_FALSE(*parse_switch("false"));
  check_bad(parse_switch,
            {{"yes", "found \"yes\", expected true or false"}, {"", "found \"\", expected true or false"}});
  CHECK(*parse_listen_mode("reuseport") == ListenMode::reuseport);
  CHECK(*parse_listen_mode("shared") == ListenMode::shared);
  check_bad(parse_listen_mode, {{"share", "found \"share\", expected reuseport or shared"}});
  CHECK(*parse_control_address("::1") == "::1");
  check_bad(parse_control_address,
            {{"127.0.0.1:3000", "found \"127.0.0.1:3000\", expected an address or a name, without a port"},
             {"[::1]", "found \"[::1]\", expected an address or a name, without a port"},
             {"*", "found \"*\", expected an address or a name, without a port"},
             {"", "found \"\", expected an address or a name, without a port"}});
}

TEST_CASE("resource limits") {
  CHECK(*parse_limit("0") == 0);
  CHECK(*parse_limit("64K") == 64 * 1024);
  CHECK(*parse_limit("2T") == std::uint64_t{2} << 40);
  CHECK(*parse_limit("unlimited") == unlimited);
  CHECK(*parse_limit("18446744073709551614") == unlimited - 1);
  CHECK(*parse_limit("16777215T") == std::uint64_t{16777215} << 40);
  for (const char* text : {"", "-1", "18446744073709551615", "16777216T", "1k", "1KB", "K", "1 K", "lots"})
    CHECK(error_of(parse_limit(text)) ==
          "found \"" + std::string(text) +
              "\", expected a number such as 1024 or 64M (K, M, G, T), or unlimited");

  CHECK(parse_resource_limit("nofile=65536")->value == 65536);
  check_bad(parse_resource_limit, {{"nofile", "found \"nofile\", expected name=limit such as nofile=65536"},
                                   {"nofiles=1", "unknown limit \"nofiles\", did you mean \"nofile\"?"}});
  CHECK(resource_of("core") == RLIMIT_CORE);
  CHECK(resource_of("fsize") == RLIMIT_FSIZE);
  CHECK_FALSE(resource_of("rss"));
}

TEST_CASE("variables of the environment") {
  CHECK(*parse_variable("A=") == std::pair<std::string, std::string>("A", ""));
  CHECK(*parse_variable("A=b=c") == std::pair<std::string, std::string>("A", "b=c"));
  check_bad(parse_variable,
            {{"A", "found \"A\", expected NAME=text"}, {"=b", "found \"=b\", expected NAME=text"}});
}

TEST_CASE("memory") {
  CHECK(*parse_memory("none") == 0);
  CHECK(*parse_memory("1M") == 1 << 20);
  CHECK(*parse_memory("2G") == 2ULL << 30);
  CHECK(*parse_memory("1048576") == 1 << 20);
  const std::string expected = ", expected bytes such as 512M or 2G (K, M, G, T), or none";
  check_bad(parse_memory, {{"", "found \"\"" + expected},
                           {"2GB", "found \"2GB\"" + expected},
                           {"-1", "found \"-1\"" + expected},
                           {"unlimited", "found \"unlimited\"" + expected},
                           {"512", "found \"512\", expected at least 1M: no worker would fit"},
                           {"0", "found \"0\", expected at least 1M: no worker would fit"}});
}

TEST_CASE("durations that may be none, releases, probes") {
  CHECK(*parse_duration_or_none("none") == 0ms);
  CHECK(*parse_duration_or_none("10s") == 10s);
  CHECK(error_of(parse_duration_or_none("x")) == "found \"x\"" + duration_expected + ", or none");
  CHECK(*parse_keep_releases("1000") == 1000);
  check_bad(parse_keep_releases, {{"0", "found \"0\", expected a number from 1 to 1000"}});
  CHECK(*parse_probe_text("connect") == "connect");
  CHECK_FALSE(parse_probe_text("").has_value());
}
