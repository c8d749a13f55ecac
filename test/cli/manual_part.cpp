#include <fmt/format.h>

#include <stdexcept>

#include "cli/command_table.hpp"
#include "made_parts.hpp"

namespace liveswap::documents {
namespace {

using cli::Option;

// In roff `-` is a hyphen, and `\-` the minus sign that a user types.
std::string escaped(std::string_view text, bool typed) {
  std::string result;
  for (const char c : text) {
    if (c == '\\') result += "\\e";
    else if (c == '-' && typed) result += "\\-";
    else result += c;
  }
  return result;
}

std::string path_of(std::string target) {
  target = target.substr(0, target.find('#'));
  if (target.starts_with("../../")) return target.substr(6);
  return target.starts_with("../") ? "docs/" + target.substr(3) : "docs/reference/" + target;
}

// One line for each sentence; no line begins like a roff request.
std::string lines(std::string_view text) {
  std::string result;
  for (const Piece& piece : pieces(text)) {
    if (piece.kind == Piece::Kind::plain) result += escaped(piece.text, false);
    if (piece.kind == Piece::Kind::literal) result += "\\fB" + escaped(piece.text, true) + "\\fR";
    if (piece.kind == Piece::Kind::link)
      result += fmt::format("{} ({})", escaped(piece.text, false), escaped(path_of(piece.target), true));
  }
  for (std::size_t at = 0; (at = result.find(". ", at)) != std::string::npos; ++at)
    result.replace(at, 2, ".\n");
  for (std::size_t at = 0; at < result.size(); at = result.find('\n', at) + 1) {
    if (result[at] == '.' || result[at] == '\'') result.insert(at, "\\&");
    if (result.find('\n', at) == std::string::npos) break;
  }
  return result.empty() ? "" : result + "\n";
}

std::string commands() {
  std::string text = ".Bl -tag -width Ds\n";
  for (const cli::Page& page : cli::command_pages()) {
    const std::string usage(page.usage);
    const auto blank = usage.find(' ');
    text += fmt::format(".It Cm {}", word(page.command));
    if (blank != std::string::npos) text += " Ar " + escaped(usage.substr(blank + 1), true);
    text += "\n" + lines(sentence(page.about) + (page.more.empty() ? "" : " " + std::string(page.more)));
    if (!page.flags.empty()) text += lines("Also `" + std::string(page.flags) + "`.");
  }
  return text + ".El\n";
}

std::string option_text(const Option& option) {
  std::string text = ".It";
  if (!option.letter.empty()) text += fmt::format(" Fl {} ,", option.letter);
  text += fmt::format(" Fl -{}", option.name);
  if (!option.argument.empty()) text += fmt::format(" Ar {}", option.argument);
  text += "\n" + lines(sentence(option.help) + (option.more.empty() ? "" : " " + std::string(option.more)));
  if (!option.values.empty()) text += lines(fmt::format("Value: {}.", option.values));
  if (!option.preset.empty()) text += lines(fmt::format("Default: {}.", option.preset));
  return text + lines(fmt::format("For {}.", commands_text(option.commands)));
}

std::string options() {
  std::string text;
  for (const auto& heading : cli::option_headings()) {
    text += fmt::format(".Ss {}\n.Bl -tag -width Ds\n", heading.text);
    for (const Option& option : cli::option_table())
      if (option.section == heading.section) text += option_text(option);
    text += ".El\n";
  }
  return text;
}

std::string entries(std::span<const cli::Entry> all, std::string_view macro) {
  std::string text = ".Bl -tag -width Ds\n";
  for (const auto& entry : all) {
    std::string term(entry.term);
    if (const auto comma = term.find(','); comma != std::string::npos) term.insert(comma, " ");
    text += fmt::format(".It{}{}\n{}", macro, term, lines(entry.text));
  }
  return text + ".El\n";
}

}  // namespace

std::string manual_part(std::string_view name) {
  if (name == "commands") return commands();
  if (name == "options") return options();
  if (name == "exit-statuses") return entries(cli::exit_statuses(), " ");
  if (name == "environment") return entries(cli::environment_variables(), " Ev ");
  throw std::runtime_error(fmt::format("no part is called {}", name));
}

}  // namespace liveswap::documents
