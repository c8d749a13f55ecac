#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <regex>
#include <stdexcept>

#include "cli/option_table.hpp"
#include "made_parts.hpp"

namespace liveswap::documents {
namespace {

using cli::Command;
using cli::Option;

std::vector<std::string> options_of(Command command) {
  std::vector<std::string> words;
  for (const Option& option : cli::option_table()) {
    if (option.section == cli::Section::action) continue;
    if (contains(option.commands, command) || (command == Command::verify && is_handed_to_start(option)))
      words.push_back(fmt::format("--{}", option.name));
  }
  return words;
}

// "end, migrate or keep" → end migrate keep; empty if the values are no list of words.
std::vector<std::string> words_of(std::string_view values) {
  const std::string text(values);
  static const std::regex list("([a-z]+)((, [a-z]+)*) or ([a-z]+)"), word("[a-z]+");
  if (!std::regex_match(text, list)) return {};
  std::vector<std::string> words;
  for (std::sregex_iterator it(text.begin(), text.end(), word), end; it != end; ++it)
    if (it->str() != "or") words.push_back(it->str());
  return words;
}

std::string value_case(const Option& option) {
  std::string pattern = fmt::format("--{}", option.name);
  if (!option.letter.empty()) pattern += fmt::format(" | -{}", option.letter);
  const auto is = [&](std::initializer_list<std::string_view> names) {
    return std::find(names.begin(), names.end(), option.argument) != names.end();
  };
  if (const auto words = words_of(option.values); !words.empty())
    return fmt::format("    {}) echo \"{}\" ;;\n", pattern, fmt::join(words, " "));
  if (is({"PATH", "FILE"})) return fmt::format("    {}) echo FILES ;;\n", pattern);
  if (is({"DIR"})) return fmt::format("    {}) echo DIRECTORIES ;;\n", pattern);
  return option.argument.empty() ? "" : fmt::format("    {}) echo ANYTHING ;;\n", pattern);
}

std::string words() {
  std::string text = fmt::format("_liveswap_commands=\"{}\"\n", fmt::join(cli::command_words, " "));
  text += "\n# The options of a command.\n_liveswap_options() {\n  case $1 in\n";
  for (std::size_t i = 0; i < cli::command_words.size(); ++i)
    text += fmt::format("    {}) echo \"{}\" ;;\n", cli::command_words[i],
                        fmt::join(options_of(static_cast<Command>(i)), " "));
  text +=
      "  esac\n}\n\n# What stands behind an option; nothing where it takes no value.\n_liveswap_values() {\n "
      " case $1 in\n";
  for (const Option& option : cli::option_table()) text += value_case(option);
  return text + "  esac\n}\n";
}

}  // namespace

std::string shell_part(std::string_view name) {
  if (name == "words") return words();
  throw std::runtime_error(fmt::format("no part is called {}", name));
}

}  // namespace liveswap::documents
