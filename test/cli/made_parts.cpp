#include "made_parts.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <regex>
#include <sstream>
#include <stdexcept>

#include "config/settings.hpp"
#include "config/yaml.hpp"

namespace liveswap::documents {
namespace {

using cli::Command;
using cli::Commands;

// Keys that are named differently from their option.
constexpr std::pair<std::string_view, std::string_view> other_keys[] = {
    {"no-zero-downtime", "zero-downtime"},
    {"no-await-listener", "await-listener"},
    {"no-auth", "auth"},
    {"env", "environment"},
    {"limit", "limits"},
    {"privileged-port", "privileged-ports"},
};

std::string part(const std::string& path, const std::string& name) {
  if (path.ends_with(".md")) return markdown_part(name);
  return path.ends_with(".bash") ? shell_part(name) : manual_part(name);
}

}  // namespace

const std::vector<std::string>& paths() {
  static const std::vector<std::string> all{"docs/reference/commands.md",      "docs/reference/options.md",
                                            "docs/reference/configuration.md", "docs/reference/errors.md",
                                            "docs/reference/files.md",         "docs/liveswap.1",
                                            "completions/liveswap.bash"};
  return all;
}

std::string with_made_parts(const std::string& path, const std::string& text) {
  static const std::regex marker(R"(\bmade: ([a-z-]+))");
  std::istringstream lines(text);
  std::string result, inside;
  for (std::string line; std::getline(lines, line);) {
    std::smatch found;
    const bool marks = std::regex_search(line, found, marker);
    if (marks && found[1] == "end") inside.clear();
    if (inside.empty()) result += line + "\n";
    if (!marks || found[1] == "end") continue;
    if (!inside.empty()) throw std::runtime_error(fmt::format("{}: the part {} has no end", path, inside));
    inside = found[1];
    result += part(path, inside);
  }
  if (!inside.empty()) throw std::runtime_error(fmt::format("{}: the part {} has no end", path, inside));
  return result;
}

std::string_view key_of(const cli::Option& option) {
  if (!contains(option.commands, Command::start) || option.section == cli::Section::action) return {};
  for (const auto& [name, key] : other_keys)
    if (name == option.name) return key;
  const auto keys = config::key_names();
  return std::find(keys.begin(), keys.end(), option.name) == keys.end() ? std::string_view() : option.name;
}

std::string commands_text(Commands commands) {
  if (commands == cli::all_commands) return "all commands";
  if (commands == cli::master_commands) return "start, and all commands to a master";
  if (commands == cli::client_commands) return "all commands to a master";
  std::vector<std::string_view> words;
  for (std::size_t i = 0; i < cli::command_words.size(); ++i)
    if (contains(commands, static_cast<Command>(i))) words.push_back(cli::command_words[i]);
  return fmt::format("{}", fmt::join(words, ", "));
}

std::string sentence(std::string_view text) {
  std::string whole(text);
  if (!whole.empty()) whole.front() = static_cast<char>(std::toupper(whole.front()));
  if (!whole.ends_with('.')) whole += '.';
  return whole;
}

std::vector<Piece> pieces(std::string_view text) {
  // Matches a link, a literal in backquotes, or an option.
  static const std::regex special(R"(\[([^\]]+)\]\(([^)]+)\)|`([^`]+)`|(--[a-z]+(?:-[a-z]+)*))");
  std::vector<Piece> all;
  const std::string rest(text);
  std::size_t at = 0;
  for (std::sregex_iterator it(rest.begin(), rest.end(), special), end; it != end; ++it) {
    const auto& found = *it;
    const auto begin = static_cast<std::size_t>(found.position());
    if (begin > at) all.push_back({Piece::Kind::plain, rest.substr(at, begin - at), ""});
    if (found[1].matched) all.push_back({Piece::Kind::link, found[1], found[2]});
    else all.push_back({Piece::Kind::literal, found[3].matched ? found[3] : found[4], ""});
    at = begin + static_cast<std::size_t>(found.length());
  }
  if (at < rest.size()) all.push_back({Piece::Kind::plain, rest.substr(at), ""});
  return all;
}

}  // namespace liveswap::documents
