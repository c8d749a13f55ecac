// What the documents say of options and commands, beside the tables that these are made of.
#include <doctest/doctest.h>

#include <fstream>
#include <iterator>
#include <regex>
#include <string>

#include "cli/command.hpp"
#include "cli/option_table.hpp"
#include "config/settings.hpp"

using namespace liveswap::cli;

namespace {

std::string document(const std::string& name) {
  std::ifstream file(SOURCE_ROOT "/" + name);
  REQUIRE(file);
  return {std::istreambuf_iterator<char>(file), {}};
}

bool has(const std::string& text, const std::string& pattern) {
  return std::regex_search(text, std::regex(pattern));
}

bool has_key(std::string_view name) {
  return liveswap::config::find_setting(name) != nullptr || name == "listen" || name == "health";
}

}  // namespace

TEST_CASE("the manual page has every command and every option") {
  const std::string page = document("docs/liveswap.1");
  for (const auto word : command_words) {
    CAPTURE(word);
    CHECK(has(page, "\\n\\.(It )?Cm (\\w+ [,|] )*" + std::string(word) + "\\b"));
  }
  for (const Option& option : option_table()) {
    CAPTURE(option.name);
    const std::string letter = option.letter.empty() ? "" : "|Fl " + std::string(option.letter) + "\\b";
    CHECK(has(page, "Fl -" + std::string(option.name) + "(?![a-z-])" + letter));
  }
}

TEST_CASE(
    "operations.md has every key of the file that is no option of start, and every option that is no key") {
  const std::string page = document("docs/operations.md");
  for (const auto& setting : liveswap::config::settings()) {
    const Option* option = find_option(setting.name);
    if (option != nullptr && contains(option->commands, Command::start) && option->takes != Takes::nothing)
      continue;
    CAPTURE(setting.name);
    CHECK(page.find("\n| `" + std::string(setting.name) + "` |") != std::string::npos);
  }
  for (const Option& option : option_table()) {
    if (!contains(option.commands, Command::start) || has_key(option.name)) continue;
    if (option.section == Section::action) continue;
    CAPTURE(option.name);
    CHECK(page.find("`--" + std::string(option.name) + "`") != std::string::npos);
  }
}
