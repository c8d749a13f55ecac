#include "config/runtimes.hpp"

#include <doctest/doctest.h>

#include "config/validate.hpp"
#include "config/yaml.hpp"

namespace liveswap::config {
namespace {

using Words = std::vector<std::string>;

Options read(const std::string& text) {
  const auto options = parse_yaml(text, "app.yaml", "/etc/app", {});
  REQUIRE_MESSAGE(options.has_value(), (options ? "" : options.error().text));
  return *options;
}

std::string mistake(const std::string& text) {
  const auto options = parse_yaml(text, "app.yaml", "/etc/app", {});
  if (!options) return options.error().text;
  const auto valid = validate(*options);
  return valid ? "" : valid.error().text;
}

bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

TEST_CASE("runtimes: a text, a list, or a map with a check") {
  const auto options = read(
      "runtime: node --enable-source-maps\n"
      "runtimes:\n"
      "  tcl: tclsh\n"
      "  py: [/opt/py/bin/python3, '-X two words']\n"
      "  ts: {run: [deno, run], check: deno check}\n");
  CHECK(options.runtime.run == Words{"node", "--enable-source-maps"});
  REQUIRE(options.runtimes.size() == 3);
  CHECK(options.runtimes.at("tcl").run == Words{"tclsh"});
  CHECK(options.runtimes.at("py").run == Words{"/opt/py/bin/python3", "-X two words"});
  CHECK(options.runtimes.at("ts").run == Words{"deno", "run"});
  CHECK(options.runtimes.at("ts").check == Words{"deno", "check"});
}

TEST_CASE("runtimes: mistakes are named") {
  CHECK(has(mistake("runtimes: node\n"), "runtimes"));
  CHECK(has(mistake("runtimes: {'.py': python3}\n"), "found \".py\", expected the ending"));
  CHECK(has(mistake("runtimes: {py: {start: python3}}\n"), "unknown key \"start\""));
  CHECK(has(mistake("runtimes: {py: bin/python3}\n"), "expected an absolute path"));
  CHECK(has(mistake("runtimes: {py: ['']}\n"), "found the word \"\""));
  CHECK(has(mistake("runtimes: {py: [\"a\\nb\"]}\n"), "in one line"));
  std::string many = "runtimes: {py: [python3";
  for (int i = 0; i < 30; ++i) many += ", x";
  CHECK(has(mistake(many + "]}\n"), "expected at most 24"));
  CHECK(mistake("runtimes: {py: python3}\nkind: script\nstart-file: a/b.py\n").empty());
}

TEST_CASE("runtimes: kind and start file") {
  CHECK(*parse_kind("auto") == "");
  CHECK(*parse_kind("plugin") == "plugin");
  CHECK(parse_kind("library").error().text == "found \"library\", expected plugin, program, script or auto");
  for (const char* good : {"a.js", "a/b", "..a", "a/..b", "./a"}) CHECK(parse_start_file(good).has_value());
  for (const char* bad : {"", "/a", "..", "../a", "a/..", "a/../b"})
    CHECK(!parse_start_file(bad).has_value());
  CHECK(has(mistake("kind: other\n"), "kind"));
  CHECK(has(mistake("start-file: ../x\n"), "start-file"));
}

TEST_CASE("runtimes: the words of the command line") {
  CHECK(parse_runtime(" node  -x ")->run == Words{"node", "-x"});
  CHECK(!parse_runtime("  ").has_value());
  CHECK(!parse_runtime("./node").has_value());
}

}  // namespace
}  // namespace liveswap::config
