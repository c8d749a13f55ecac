#include "load/program/command_line.hpp"

#include <doctest/doctest.h>

#include "load/control.hpp"

using namespace liveswap::load;
using What = Command::What;

namespace {

liveswap::Result<std::optional<CommandLine>> parse(std::vector<const char*> arguments) {
  arguments.insert(arguments.begin(), "liveswap-load");
  return parse_options(static_cast<int>(arguments.size()), arguments.data());
}

}  // namespace

TEST_CASE("only loopback addresses are targets") {
  for (const char* url : {"http://127.0.0.1:80/", "http://127.9.8.7:1", "http://[::1]:80/x",
                          "http://localhost:8080/", "http://127.0.0.1", "tcp://127.0.0.1:7"})
    CHECK_MESSAGE(parse_target(url, "", false), url);
  for (const char* url : {"http://10.0.0.1/", "http://128.0.0.1/", "http://[fe80::1]/", "http://0.0.0.0:80/",
                          "http://[::ffff:10.0.0.1]/"}) {
    CHECK_MESSAGE(!parse_target(url, "", false), url);
    CHECK_MESSAGE(parse_target(url, "", true), url);
  }
  CHECK(parse_target("http://anything/path", "/run/x.sock", false)->family() == AF_UNIX);
}

TEST_CASE("targets are read strictly") {
  for (const char* url :
       {"", "https://127.0.0.1/", "127.0.0.1:80", "http://", "http://example.org/", "http://127.0.0.1:/",
        "http://127.0.0.1:0/", "http://127.0.0.1:65536/", "http://127.0.0.1:8x/", "http://[::1/",
        "http://[::1]80/", "tcp://127.0.0.1", "http://127.0.0.1/a b", "http://127.0.0.1/\r\nX: y"})
    CHECK_MESSAGE(!parse_target(url, "", false), url);
  CHECK(!parse_target("http://x/", std::string(200, 'x'), false));
  const auto target = parse_target("http://[::1]:8080/a/b?c", "", false);
  CHECK(target->path == "/a/b?c");
  CHECK(target->host == "[::1]:8080");
}

TEST_CASE("what is given is taken") {
  const auto options =
      parse({"--rate", "100", "--keep-alive", "--connections", "7", "--slow", "2", "--expect-status",
             "200,503", "--expect-body", "v1=a=b", "http://127.0.0.1:1/"});
  REQUIRE(options);
  REQUIRE(*options);
  CHECK((*options)->rate == 100);
  CHECK((*options)->connections == 9);
  CHECK((*options)->expectations.statuses == std::set<int>{200, 503});
  CHECK((*options)->expectations.bodies.at("v1") == "a=b");
  CHECK((*options)->duration == std::chrono::seconds(600));
  CHECK_FALSE(*parse({"--help"}));
}

TEST_CASE("the hard maximum bounds the duration") {
  CHECK((*parse({"--duration", "900", "http://127.0.0.1:1/"}))->duration == std::chrono::seconds(600));
  CHECK((*parse({"--duration", "1.5", "http://127.0.0.1:1/"}))->duration == std::chrono::milliseconds(1500));
}

TEST_CASE("what makes no sense is refused") {
  const char* const url = "http://127.0.0.1:1/";
  const std::vector<std::vector<const char*>> all = {{},
                                                     {url, url},
                                                     {"--no-such-option", url},
                                                     {"--rate", "-1", url},
                                                     {"--rate", "nan", url},
                                                     {"--rate", "0", url},
                                                     {"--duration", "0", url},
                                                     {"--slow-path", "slow", url},
                                                     {"--expect-body", "v1", url},
                                                     {"--max-connections", "0", url},
                                                     {"--keep-alive", "--max-connections", "10", url},
                                                     {"--sources", "1000", url}};
  for (const auto& arguments : all) CHECK_FALSE(parse(arguments));
}

TEST_CASE("commands are lines, whatever the pieces they come in") {
  CommandLines lines;
  std::vector<Command> commands;
  for (const char c : std::string("mark during the upgrade\nstop\nmark \nhalt\n\nsto"))
    for (auto& command : lines.feed({&c, 1})) commands.push_back(command);
  const std::vector<Command> expected = {{What::mark, "during the upgrade"},
                                         {What::stop, ""},
                                         {What::bad, "mark "},
                                         {What::bad, "halt"},
                                         {What::bad, ""}};
  CHECK(commands == expected);
}

TEST_CASE("a command without an end does not fill the memory") {
  CommandLines lines;
  const auto commands = lines.feed(std::string(1000, 'x'));
  REQUIRE(!commands.empty());
  CHECK(commands[0].what == What::bad);
  CHECK(commands[0].text.size() < 300);
}
