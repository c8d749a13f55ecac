#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <stdexcept>

#include "cli/command_table.hpp"
#include "config/reload.hpp"
#include "config/yaml.hpp"
#include "made_parts.hpp"

namespace liveswap::documents {
namespace {

using cli::Command;
using cli::Option;

std::string marked_up(std::string_view text) {
  std::string result;
  for (const Piece& piece : pieces(text)) {
    if (piece.kind == Piece::Kind::plain) result += piece.text;
    if (piece.kind == Piece::Kind::literal) result += "`" + piece.text + "`";
    if (piece.kind == Piece::Kind::link) result += fmt::format("[{}]({})", piece.text, piece.target);
  }
  return result;
}

// Formats a value that is typed as code; leaves a text of several words alone.
std::string in_code(std::string_view value) {
  const bool typed = !value.empty() && value.find(' ') == std::string_view::npos;
  return typed ? fmt::format("`{}`", value) : std::string(value);
}

std::string in_a_cell(std::string text) {
  for (std::size_t at = 0; (at = text.find('|', at)) != std::string::npos; at += 2) text.insert(at, "\\");
  return text;
}

std::string commands() {
  std::string text;
  for (const cli::Page& page : cli::command_pages()) {
    text += fmt::format("\n## {}\n\n    liveswap {}\n", word(page.command), page.usage);
    if (!page.flags.empty()) text += fmt::format("    liveswap {}\n", page.flags);
    text += fmt::format("\n{} {}\n", marked_up(sentence(page.about)), marked_up(page.more));
    std::vector<std::string> names;
    for (const Option& option : cli::option_table())
      if (contains(option.commands, page.command) && option.section != cli::Section::action &&
          option.commands != cli::all_commands)
        names.push_back(fmt::format("`--{}`", option.name));
    if (!names.empty()) text += fmt::format("\nOptions: {}.\n", fmt::join(names, ", "));
  }
  return text + "\n";
}

std::string term(const Option& option) {
  const std::string letter = option.letter.empty() ? "" : fmt::format("-{}, ", option.letter);
  const std::string argument = option.argument.empty() ? "" : fmt::format(" {}", option.argument);
  return fmt::format("`{}--{}{}`", letter, option.name, argument);
}

std::string option_text(const Option& option) {
  std::string text = fmt::format("\n### {}\n\n{}", term(option), marked_up(sentence(option.help)));
  if (!option.more.empty()) text += " " + marked_up(option.more);
  text += "\n\n";
  const auto line = [&](std::string_view name, std::string_view value) {
    if (!value.empty()) text += fmt::format("* {}: {}\n", name, marked_up(value));
  };
  line("Value", option.values);
  line("Default", in_code(option.preset));
  line("Commands", commands_text(option.commands));
  if (const auto key = key_of(option); !key.empty())
    text += fmt::format("* Key: [`{}`](configuration.md)\n", key);
  return text;
}

std::string options() {
  std::string text;
  for (const auto& heading : cli::option_headings()) {
    text += fmt::format("\n## {}\n", heading.text);
    for (const Option& option : cli::option_table())
      if (option.section == heading.section) text += option_text(option);
  }
  return text + "\n";
}

struct Key {
  std::string_view name;
  std::string values;
  std::string preset;
  std::string same;  // the option or argument that sets the same value
};

// Keys that have no option of the same name.
const Key other_keys[] = {
    {"target", "path of the library", "", "what stands behind `start`"},
    {"arguments", "a list of texts", "", "what stands behind `--`"},
    {"listen", "one address or a list; an item may be a map of `name` and `address`", "",
     "`--listen`, repeated"},
    {"health", "one probe or a list", "", "`--health`, repeated"},
    {"environment", "a map of names and texts", "", "`--env`, repeated"},
    {"limits", "a map of names and limits", "", "`--limit`, repeated"},
    {"runtime", "a command: a list of words, a text with blanks between them, or a map of `run` and `check`",
     "", "`--runtime`"},
    {"runtimes", "a map of endings and commands, see [kinds of releases](kinds.md#runtimes)", "", ""},
    {"privileged-ports", "one port or a list, 1 to 1023", "", "`--privileged-port`, repeated"},
    {"zero-downtime", "true or false", "true", "`--no-zero-downtime`: false"},
    {"await-listener", "true or false", "true", "`--no-await-listener`: false"},
    {"auth", "true or false", "true", "`--no-auth`: false"},
};

Key key_called(std::string_view name) {
  for (const Key& key : other_keys)
    if (key.name == name) return key;
  const Option* option = cli::find_option(name);
  if (!option) throw std::runtime_error(fmt::format("nothing is known of the key {}", name));
  const std::string same = fmt::format("`--{}`", name);
  if (option->takes == cli::Takes::nothing) return {name, "true or false", "false", same + ": true"};
  return {name, std::string(option->values), std::string(option->preset), same};
}

std::string_view applied_by_reload(std::string_view key) {
  for (const auto& rule : config::reload_rules())
    if (rule.key == key) return config::word(rule.applies);
  throw std::runtime_error(fmt::format("nothing is known of a reload of the key {}", key));
}

std::string keys() {
  std::string text =
      "| key | value | default | on the command line | applied by reload |\n|---|---|---|---|---|\n";
  for (const auto name : config::key_names()) {
    const Key key = key_called(name);
    text += fmt::format("| `{}` | {} | {} | {} | {} |\n", name, marked_up(key.values),
                        in_a_cell(marked_up(in_code(key.preset))), key.same, applied_by_reload(name));
  }
  return text;
}

std::string entries(std::span<const cli::Entry> all) {
  std::string text = "| | |\n|---|---|\n";
  for (const auto& entry : all) text += fmt::format("| `{}` | {} |\n", entry.term, entry.text);
  return text;
}

}  // namespace

std::string markdown_part(std::string_view name) {
  if (name == "commands") return commands();
  if (name == "options") return options();
  if (name == "keys") return keys();
  if (name == "exit-statuses") return entries(cli::exit_statuses());
  if (name == "environment") return entries(cli::environment_variables());
  throw std::runtime_error(fmt::format("no part is called {}", name));
}

}  // namespace liveswap::documents
