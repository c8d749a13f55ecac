#include "cli/arguments.hpp"

#include <doctest/doctest.h>

using namespace liveswap;
using namespace liveswap::cli;
using namespace std::chrono_literals;
using Words = std::vector<std::string>;

namespace {

Arguments parsed(const Words& words, const Environment& environment = {}) {
  auto arguments = parse_arguments(words, environment);
  INFO((arguments ? std::string() : arguments.error().text));
  REQUIRE(arguments.has_value());
  return *arguments;
}

std::string error_of(const Words& words, const Environment& environment = {}) {
  const auto arguments = parse_arguments(words, environment);
  return arguments ? "no error" : arguments.error().text;
}

struct Form {
  Words words;
  Command command;
  std::string value;
};

}  // namespace

TEST_CASE("behind a command, --start names what starts a directory") {
  using Settings = std::vector<std::pair<std::string, std::string>>;
  for (const std::string command : {"start", "check", "verify"}) {
    const auto arguments = parsed({command, "./app", "--start", "server.js"});
    CHECK(arguments.value == "./app");
    CHECK(arguments.settings == Settings{{"start-file", "server.js"}});
  }
  CHECK(parsed({"--start", "./app"}).value == "./app");
  CHECK(parsed({"-s", "./app", "--start-file=x.py"}).settings == Settings{{"start-file", "x.py"}});
}

TEST_CASE("both forms of each command") {
  const std::vector<Form> forms{
      {{"start", "lib.so"}, Command::start, "lib.so"},
      {{"start"}, Command::start, ""},
      {{"-s", "lib.so"}, Command::start, "lib.so"},
      {{"--start", "lib.so"}, Command::start, "lib.so"},
      {{"--start=lib.so"}, Command::start, "lib.so"},
      {{"upgrade"}, Command::upgrade, ""},
      {{"upgrade", "v2.so"}, Command::upgrade, "v2.so"},
      {{"-u"}, Command::upgrade, ""},
      {{"-u", "v2.so"}, Command::upgrade, "v2.so"},
      {{"--upgrade"}, Command::upgrade, ""},
      {{"--upgrade", "v2.so"}, Command::upgrade, "v2.so"},
      {{"--upgrade=v2.so"}, Command::upgrade, "v2.so"},
      {{"message", "hi there"}, Command::message, "hi there"},
      {{"message", "--", "--hi"}, Command::message, "--hi"},
      {{"-m", "status"}, Command::message, "status"},
      {{"--message", "-x"}, Command::message, "-x"},
      {{"kill"}, Command::kill, ""},
      {{"-k"}, Command::kill, ""},
      {{"--kill"}, Command::kill, ""},
      {{"die"}, Command::die, ""},
      {{"-d"}, Command::die, ""},
      {{"--die"}, Command::die, ""},
      {{"stop"}, Command::stop, ""},
      {{"status"}, Command::status, ""},
      {{"forks", "4"}, Command::forks, "4"},
      {{"check", "lib.so"}, Command::check, "lib.so"},
      {{"rollback"}, Command::rollback, ""},
      {{"rollback", "3"}, Command::rollback, "3"},
      {{"rollback", "ab12cd"}, Command::rollback, "ab12cd"},
      {{"promote"}, Command::promote, ""},
      {{"abort"}, Command::abort, ""},
      {{"history"}, Command::history, ""},
      {{"history", "5"}, Command::history, "5"},
      {{"receipt"}, Command::receipt, ""},
      {{"receipt", "12"}, Command::receipt, "12"},
  };
  for (const auto& form : forms) {
    CAPTURE(form.words.front());
    const auto arguments = parsed(form.words);
    CHECK(*arguments.command == form.command);
    CHECK(arguments.value == form.value);
  }
}

TEST_CASE("options stand before or after the command") {
  for (const Words& words : {Words{"-p", "3001", "-u"},
                             {"-u", "-p", "3001"},
                             {"-p3001", "upgrade"},
                             {"upgrade", "--port=3001"},
                             {"--port", "3001", "upgrade"}}) {
    const auto arguments = parsed(words);
    CHECK(*arguments.command == Command::upgrade);
    CHECK(arguments.where.port == 3001);
    CHECK(arguments.value.empty());
  }
}

TEST_CASE("where a running master is") {
  const auto arguments =
      parsed({"kill", "-a", "10.0.0.1", "--timeout", "2s", "--state-dir", "s", "--runtime-dir", "r"});
  CHECK(arguments.where.port == 3000);
  CHECK(arguments.where.address == "10.0.0.1");
  CHECK(arguments.where.timeout == 2s);
  CHECK(arguments.where.state_dir == "s");
  CHECK(arguments.where.runtime_dir == "r");
}

TEST_CASE("the environment has the defaults of the client side") {
  const Environment environment{"3005", "10.0.0.2", "secret"};
  auto arguments = parsed({"kill"}, environment);
  CHECK(arguments.where.port == 3005);
  CHECK(arguments.where.address == "10.0.0.2");
  CHECK(arguments.where.token == "secret");
  CHECK(parsed({"kill", "-p", "3006"}, environment).where.port == 3006);
  CHECK(parsed({"start"}, environment).settings.empty());
  CHECK(error_of({"kill"}, {"x", "", ""}).substr(0, 14) == "LIVESWAP_PORT:");
}

TEST_CASE("switches") {
  CHECK(parsed({"upgrade", "--detach"}).detach);
  CHECK(parsed({"upgrade", "--json"}).json);
  for (const char* command : {"status", "history", "receipt", "rollback"})
    CHECK(parsed({command, "--json"}).json);
  CHECK(parsed({"rollback", "--detach"}).detach);
  CHECK(parsed({"start", "--daemon"}).daemon);
  CHECK(parsed({"start", "-c", "f.yaml"}).config == "f.yaml");
  CHECK(parsed({"-h"}).help);
  CHECK(parsed({"--version"}).version);
  CHECK(parsed({"-v"}).version);
  const auto help = parsed({"start", "--help"});
  CHECK(help.help);
  CHECK(help.command == Command::start);
}

TEST_CASE("help and version are commands, too") {
  CHECK(parsed({}).nothing);
  CHECK_FALSE(parsed({}).help);
  for (const Words& words : {Words{"help"}, {"-h"}, {"--help"}}) {
    CHECK(parsed(words).help);
    CHECK_FALSE(parsed(words).command.has_value());
  }
  for (const Words& words : {Words{"help", "upgrade"}, {"upgrade", "--help"}, {"-h", "upgrade"}}) {
    CHECK(parsed(words).help);
    CHECK(parsed(words).command == Command::upgrade);
  }
  CHECK(parsed({"help", "help"}).command == Command::help);
  CHECK(parsed({"version"}).version);
  CHECK(error_of({"help", "upgade"}) == "unknown command \"upgade\", did you mean \"upgrade\"?");
  CHECK(error_of({"help", "upgrade", "now"}) == "help: found \"now\", expected nothing more");
}

TEST_CASE("a status again and again") {
  CHECK_FALSE(parsed({"status"}).watch.has_value());
  for (const Words& words : {Words{"status", "--watch"}, {"--watch", "status", "--json"}})
    CHECK(parsed(words).watch == 1s);
  for (const Words& words :
       {Words{"status", "--watch", "250ms"}, {"status", "--watch=250ms"}, {"--watch=250ms", "status"}})
    CHECK(parsed(words).watch == 250ms);
  CHECK(error_of({"status", "--watch", "1ms"}) == "--watch: found \"1ms\", expected 100ms or more");
  CHECK(error_of({"status", "--watch", "often"}).find("--watch: found \"often\"") == 0);
  CHECK(error_of({"status", "--watch", "1s", "x"}) == "status: found \"x\", expected nothing more");
}

TEST_CASE("a command in a message works as it stands") {
  CHECK(error_of({"rollback", "abc", "-p", "3001", "--runtime-dir", "/run/x"})
            .find("in `liveswap history -p 3001 --runtime-dir /run/x`, or") != std::string::npos);
}

TEST_CASE("wishes of an upgrade") {
  using Wishes = std::map<std::string, std::string>;
  const auto arguments = parsed({"upgrade", "v2.so", "--canary", "1", "--bake=5s", "--probation", "none",
                                 "--batch", "2", "--surge", "50%", "--flip", "--queue"});
  CHECK(arguments.value == "v2.so");
  CHECK(arguments.wishes == Wishes{{"canary", "1"},
                                   {"bake", "5s"},
                                   {"probation", "none"},
                                   {"batch", "2"},
                                   {"surge", "50%"},
                                   {"flip", "true"},
                                   {"queue", "true"}});
  CHECK(parsed({"upgrade", "--no-flip"}).wishes == Wishes{{"flip", "false"}});
  CHECK(parsed({"upgrade"}).wishes.empty());
  CHECK(parsed({"start", "--canary", "1"}).wishes.empty());
}

TEST_CASE("settings of start keep their order and their text") {
  const auto arguments =
      parsed({"start", "lib.so", "-f", "4", "-z", "--env", "A=1,2", "--env=B=x=y", "-H", "head"});
  using Settings = std::vector<std::pair<std::string, std::string>>;
  CHECK(arguments.settings ==
        Settings{
            {"forks", "4"}, {"no-zero-downtime", ""}, {"env", "A=1,2"}, {"env", "B=x=y"}, {"head", "head"}});
}

TEST_CASE("what stands behind -- is the application's") {
  CHECK(*parsed({"start", "lib.so", "--", "-k", "--", "x"}).application == Words{"-k", "--", "x"});
  CHECK(parsed({"-s", "lib.so", "--"}).application->empty());
  CHECK_FALSE(parsed({"start", "lib.so"}).application.has_value());
}

TEST_CASE("mistakes") {
  const std::vector<std::pair<Words, std::string>> rows{
      {{"upgade"}, "unknown command \"upgade\", did you mean \"upgrade\"?"},
      {{"start", "--frks", "2"}, "unknown option \"--frks\", did you mean --forks?"},
      {{"start", "--frks=2"}, "unknown option \"--frks\", did you mean --forks?"},
      {{"start", "--xyzzy"}, "unknown option \"--xyzzy\", see `liveswap help`"},
      {{"kill", "-x"}, "unknown option \"-x\", see `liveswap help`"},
      {{"-k", "-d"}, "found --kill and --die, expected one command"},
      {{"status", "-k"}, "found --kill and status, expected one command"},
      {{"-u", "kill"}, "found --upgrade and kill, expected one command"},
      {{"kill", "-u"}, "found --upgrade and kill, expected one command"},
      {{"-k", "x"}, "--kill: found \"x\", expected nothing more"},
      {{"-s", "a.so", "b.so"}, "--start: found \"b.so\", expected nothing more"},
      {{"status", "x"}, "status: found \"x\", expected nothing more"},
      {{"start", "a.so", "x"},
       "start: found \"x\", expected nothing more; arguments for the application stand behind --"},
      {{"message", "a", "b"}, "message: found \"b\", expected nothing more; quote a text with spaces"},
      {{"message"}, "message: expected a text"},
      {{"forks"}, "forks: expected a number of workers, or auto"},
      {{"kill", "--forks", "2"}, "--forks means nothing to kill, only to start"},
      {{"kill", "--json"},
       "--json means nothing to kill, only to upgrade, rollback, history, receipt, status, reload, check, "
       "config, verify, list"},
      {{"upgrade", "--settle", "1s"}, "--settle means nothing to upgrade, only to start"},
      {{"upgrade", "--canary", "x"},
       "--canary: found \"x\", expected a number from 0 to 1024 or a share from 0% to 1000%"},
      {{"upgrade", "--json", "--detach"},
       "found --json and --detach, expected one of the two: the receipt is there when the upgrade is done"},
      {{"rollback", "--canary", "1"}, "--canary means nothing to rollback, only to start, upgrade"},
      {{"rollback", "abc"},
       "rollback: found \"abc\", expected the number of a receipt in `liveswap history`, or 6 to 64 "
       "hexadecimal "
       "digits of a release"},
      {{"history", "0"}, "history: found \"0\", expected a number from 1 to 1000"},
      {{"receipt", "last"}, "receipt: found \"last\", expected a number from 1 to 18446744073709551615"},
      {{"start", "--timeout", "2s"},
       "--timeout means nothing to start, only to upgrade, rollback, promote, abort, history, receipt, "
       "message, kill, "
       "die, stop, status, forks, reexec, reload"},
      {{"upgrade", "--json=yes"}, "--json takes no value, found \"yes\""},
      {{"kill", "-p", "70000"}, "--port: found \"70000\", expected a number from 1 to 65535"},
      {{"-p", "3001"},
       "expected a command: start, upgrade, rollback, promote, abort, history, receipt, message, kill, die, "
       "stop, status, forks, reexec, reload, check, config, verify, list, version, help"},
      {{"deploy"}, "unknown command \"deploy\", did you mean \"upgrade\"?"},
      {{"config"}, "config: expected check FILE"},
      {{"config", "check"}, "config check: expected FILE"},
      {{"config", "chek", "a.yaml"}, "config: found \"chek\", expected check FILE"},
      {{"config", "check", "a.yaml", "b.yaml"}, "config: found \"b.yaml\", expected nothing more"},
      {{"reexec", "a"}, "reexec: found \"a\", expected nothing more"},
      {{"upgrade", "--binary", "a"}, "--binary means nothing to upgrade, only to reexec"},
      {{"reload", "a.yaml"}, "reload: found \"a.yaml\", expected nothing more"},
      {{"upgrade", "--dry-run"}, "--dry-run means nothing to upgrade, only to reload"},
      {{"help", "quit"}, "unknown command \"quit\", did you mean \"stop\"?"},
  };
  for (const auto& [words, text] : rows) CHECK(error_of(words) == text);
  CHECK(error_of({"kill", "-p"}).find("missing an argument") != std::string::npos);
}

TEST_CASE("reload and config check") {
  const auto reload = parse_arguments({"reload", "--dry-run", "--json", "-p", "3001"}, {});
  REQUIRE_MESSAGE(reload, reload.error().text);
  CHECK(reload->command == Command::reload);
  CHECK(reload->dry_run);
  CHECK(reload->json);
  CHECK(reload->where.port == 3001);
  const auto check = parse_arguments({"config", "check", "a.yaml", "--json"}, {});
  REQUIRE_MESSAGE(check, check.error().text);
  CHECK(check->command == Command::config);
  CHECK(check->second == "a.yaml");
  CHECK_FALSE(check->dry_run);
}

TEST_CASE("check: a library, its own options, and arguments for the self-test") {
  const Arguments arguments =
      parsed({"check", "--check-limit", "2s", "lib.so", "--env", "A=b", "--json", "--", "--port", "x"});
  CHECK(arguments.value == "lib.so");
  CHECK(arguments.json);
  CHECK(arguments.application == Words{"--port", "x"});
  CHECK(error_of({"check"}) == "check: expected the path of a library");
  CHECK(error_of({"check", "a.so", "b.so"}).find("expected nothing more") != std::string::npos);
  CHECK(error_of({"check", "a.so", "-p", "3001"}).find("--port means nothing to check") == 0);
  CHECK(error_of({"upgrade", "a.so", "--check-limit", "1s"}).find("--check-limit means nothing to upgrade") ==
        0);
}
