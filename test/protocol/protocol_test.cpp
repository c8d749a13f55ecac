#include <doctest/doctest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "protocol/instance.hpp"
#include "protocol/line_buffer.hpp"
#include "protocol/message.hpp"
#include "test/support/temp_dir.hpp"

using namespace liveswap::protocol;

namespace {

std::string error_of(std::string_view line) {
  const auto command = parse_command(line);
  REQUIRE_FALSE(command.has_value());
  return command.error().text;
}

}  // namespace

TEST_CASE("lines are cut wherever the bytes are") {
  LineBuffer lines;
  for (const char c : std::string("one\r\ntwo\nthr")) lines.append({&c, 1});
  CHECK(lines.next() == "one");
  CHECK(lines.next() == "two");
  CHECK_FALSE(lines.next());
  lines.append("ee\n\n");
  CHECK(lines.next() == "three");
  CHECK(lines.next() == "");
  CHECK_FALSE(lines.next());
}

TEST_CASE("a line may have just the limit, with its newline") {
  LineBuffer lines;
  lines.append(std::string(line_limit - 1, 'x') + "\n");
  CHECK_FALSE(lines.too_long());
  CHECK(lines.next()->size() == line_limit - 1);

  lines.append(std::string(line_limit - 1, 'x'));
  CHECK_FALSE(lines.too_long());
  lines.append("x");
  CHECK(lines.too_long());
  lines.append("\n");
  CHECK(lines.too_long());
  CHECK_FALSE(lines.next());
}

TEST_CASE("commands of the original are understood") {
  const auto upgrade = parse_command(R"({"cmd":"upgrade","value":"./libapp_v2.so"})");
  REQUIRE(upgrade.has_value());
  CHECK(upgrade->verb == Verb::upgrade);
  CHECK(upgrade->value == "./libapp_v2.so");
  CHECK(parse_command(R"({"cmd":"kill","value":""})")->verb == Verb::kill);
  CHECK(parse_command(R"({"cmd":"die","value":null})")->value.empty());
  CHECK(parse_command(R"({"cmd":"message","value":"hi"})")->value == "hi");
}

TEST_CASE("members are checked for their types") {
  CHECK(parse_command(R"({"cmd":"forks","value":4})")->value == "4");
  CHECK(parse_command(R"({"cmd":"forks","value":"4"})")->value == "4");
  CHECK(error_of(R"({"cmd":"forks","value":-4})") == "\"value\" is number, expected a string");
  CHECK(error_of(R"({"cmd":"upgrade","value":["x"]})") == "\"value\" is array, expected a string");
  CHECK(error_of(R"({"cmd":"upgrade","value":"a\u0000b"})") == "\"value\" contains a NUL byte");
  CHECK(error_of(R"({"cmd":"upgrade","detach":"yes"})") == "\"detach\" is not true or false");
  CHECK(error_of(R"({"cmd":"upgrade","cwd":"here"})") == "\"cwd\" is here, expected an absolute path");
  CHECK(error_of(R"({"cmd":"message"})") == "a message needs a \"value\" that is not empty");
}

TEST_CASE("what is no command is said to be none") {
  CHECK(error_of("") == "expected a JSON object, one a line");
  CHECK(error_of("GET / HTTP/1.1") == "expected a JSON object, one a line");
  CHECK(error_of("\x16\x03\x01") == "expected a JSON object, one a line");
  CHECK(error_of("{") == "the line is not valid JSON, expected an object");
  CHECK(error_of(R"({"cmd":"kill"} x)") == "the line is not valid JSON, expected an object");
  CHECK(error_of("{\"cmd\":\"\xff\"}") == "the line is not valid JSON, expected an object");
  CHECK(error_of("{\"cmd\":" + std::string(30'000, '[') + std::string(30'000, ']') + "}") ==
        "the line is nested 30001 levels deep, expected at most 64");
  CHECK(error_of("{}") == "the object has no \"cmd\" that is a string");
  CHECK(error_of(R"({"cmd":7})") == "the object has no \"cmd\" that is a string");
  CHECK(error_of(R"({"cmd":"reboot"})").rfind("unknown command", 0) == 0);
  // Deep nesting must not use up the stack.
  const auto deep = R"({"cmd":)" + std::string(60'000, '[');
  CHECK(error_of(deep) == "the line is not valid JSON, expected an object");
}

TEST_CASE("a command survives its own line") {
  Command command;
  command.verb = Verb::upgrade;
  command.value = "/srv/\"lib\"\n.so";
  command.token = "t";
  command.cwd = "/srv";
  command.detach = true;
  command.wishes = {{"queue", "true"}, {"bake", "30s"}};
  const auto line = to_line(command);
  CHECK(line.back() == '\n');
  CHECK(line.find('\n') == line.size() - 1);
  const auto again = parse_command(std::string_view(line).substr(0, line.size() - 1));
  REQUIRE(again.has_value());
  CHECK(again->value == command.value);
  CHECK(again->token == "t");
  CHECK(again->cwd == "/srv");
  CHECK(again->detach);
  CHECK(again->wishes == command.wishes);
  CHECK(Json::parse(line).at("queue") == true);
}

TEST_CASE("an upgrade carries wishes, whatever their names") {
  const auto command =
      parse_command(R"({"cmd":"upgrade","value":"a.so","queue":true,"flip":false,"canary":"10%",)"
                    R"("batch":4,"bake":null,"canery":""})");
  REQUIRE(command.has_value());
  CHECK(command->wishes ==
        std::map<std::string, std::string>{
            {"queue", "true"}, {"flip", "false"}, {"canary", "10%"}, {"batch", "4"}, {"canery", ""}});
  CHECK(parse_command(R"({"cmd":"rollback","value":"","surge":"2"})")->wishes.at("surge") == "2");
  // Other commands ignore further members, as the original does.
  CHECK(parse_command(R"({"cmd":"kill","value":"","queue":true})")->wishes.empty());
  CHECK(error_of(R"({"cmd":"upgrade","canary":["1"]})") == "\"canary\" is array, expected a string");
  CHECK(error_of(R"({"cmd":"upgrade","canary":-1})") == "\"canary\" is number, expected a string");
  CHECK(error_of(R"({"cmd":"upgrade","canary":"a\u0000b"})") == "\"canary\" contains a NUL byte");
}

TEST_CASE("history, receipt and rollback take numbers") {
  CHECK(parse_command(R"({"cmd":"history","value":5})")->value == "5");
  CHECK(parse_command(R"({"cmd":"receipt","value":"12"})")->value == "12");
  CHECK(parse_command(R"({"cmd":"receipt"})")->value.empty());
  CHECK(error_of(R"({"cmd":"receipt","value":"last"})") ==
        "receipt: found \"last\", expected a number, or nothing");
  CHECK(parse_command(R"({"cmd":"rollback","value":3})")->value == "3");
  CHECK(parse_command(R"({"cmd":"rollback","value":"ab12cd"})")->value == "ab12cd");
  CHECK(parse_command(R"({"cmd":"promote"})")->verb == Verb::promote);
  CHECK(parse_command(R"({"cmd":"abort","value":""})")->verb == Verb::abort);
}

TEST_CASE("answers and events are told apart by their members") {
  const auto ok = Json::parse(ok_line("kill", {{"text", "done"}}));
  CHECK(ok == Json{{"cmd", "kill"}, {"value", "OK"}, {"text", "done"}});
  const auto error = Json::parse(error_line("upgrade", Refusal::reverted, "why \xff"));
  CHECK(error.at("status") == "reverted");
  CHECK_FALSE(error.contains("value"));
  const auto reverted = Json::parse(error_line("upgrade", Refusal::reverted, "why", {{"receipt", 7}}));
  CHECK(reverted == Json{{"cmd", "upgrade"}, {"error", "why"}, {"status", "reverted"}, {"receipt", 7}});
  const auto event = Json::parse(event_line("ready", {{"slot", 0}}));
  CHECK(event == Json{{"event", "ready"}, {"slot", 0}});
}

TEST_CASE("an instance is found by its port and the user's directories") {
  ::setenv("XDG_STATE_HOME", "/state", 1);
  ::setenv("XDG_RUNTIME_DIR", "/run/me", 1);
  const auto instance = locate_instance(3001, "", "");
  CHECK(instance.head_path() == "/state/liveswap/3001/HEAD");
  CHECK(instance.socket_path() == "/run/me/liveswap/3001.sock");
  CHECK(locate_instance(3001, "/a", "/b").token_path() == "/a/token");
  CHECK(locate_instance(3001, "/a", "/b").socket_path() == "/b/3001.sock");

  ::setenv("XDG_STATE_HOME", "relative", 1);
  ::setenv("HOME", "/home/me", 1);
  const bool root = ::geteuid() == 0;
  CHECK(locate_instance(1, "", "").state_dir ==
        (root ? "/var/lib/liveswap/1" : "/home/me/.local/state/liveswap/1"));
  CHECK(earlier_state_dir(1) == (root ? "/home/me/.local/state/liveswap/1" : ""));
}

TEST_CASE("root's state of an earlier version is found, while there is none in the new place") {
  if (::geteuid() != 0) return;
  const liveswap::test::TempDir home;
  ::setenv("HOME", home.path().c_str(), 1);
  ::unsetenv("XDG_STATE_HOME");
  const std::string earlier = home / ".local/state/liveswap/2";
  std::filesystem::create_directories(earlier);
  CHECK(locate_instance(2, "", "").state_dir == "/var/lib/liveswap/2");
  std::ofstream(earlier + "/HEAD") << "/srv/libapp.so\n";
  CHECK(locate_instance(2, "", "").state_dir == earlier);
  CHECK(locate_instance(2, "/a", "").state_dir == "/a");
  CHECK(locate_instance(3, "", "").state_dir == "/var/lib/liveswap/3");
}
