#include "config/file_check.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <sstream>
#include <string_view>

#include "config/document.hpp"
#include "config/validate.hpp"
#include "config/yaml.hpp"

namespace liveswap::config {
namespace {

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream all(text);
  for (std::string line; std::getline(all, line);) lines.push_back(line);
  return lines;
}

bool is_key(std::string_view word) {
  const auto names = key_names();
  return std::find(names.begin(), names.end(), word) != names.end();
}

// The key of a text `forks: …` or `unknown key "fork", …`.
std::string key_in(const std::string& text) {
  std::string first = text.substr(0, text.find(':'));
  if (is_key(first)) return first;
  constexpr std::string_view unknown = "unknown key \"";
  if (!text.starts_with(unknown)) return "";
  return text.substr(unknown.size(), text.find('"', unknown.size()) - unknown.size());
}

// Takes a number with a colon behind it from the front of `text`.
bool take_number(std::string_view& text, int& number) {
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (failed != std::errc{} || end == text.data() + text.size() || *end != ':') return false;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()) + 1);
  return true;
}

Problem problem_of(std::string_view line, const std::string& path) {
  Problem problem;
  if (line.starts_with(path + ":")) line.remove_prefix(path.size() + 1);
  std::string_view rest = line;
  if (take_number(rest, problem.line) && take_number(rest, problem.column)) line = rest;
  else problem.line = problem.column = 0;
  while (line.starts_with(' ')) line.remove_prefix(1);
  problem.text = line;
  problem.key = key_in(problem.text);
  return problem;
}

// Whether `word` stands in the text, and not as a part of a longer name.
bool has_word(const std::string& text, const std::string& word) {
  const auto joins = [&](std::size_t at) {
    return at < text.size() && (std::isalnum(static_cast<unsigned char>(text[at])) || text[at] == '-');
  };
  for (auto at = text.find(word); at != std::string::npos; at = text.find(word, at + 1))
    if ((at == 0 || !joins(at - 1)) && !joins(at + word.size())) return true;
  return false;
}

void place_at(const Node& key, const Node& value, Problem& problem) {
  // A missing value has no position.
  const Node& node = value.kind == Node::Kind::null ? key : value;
  problem.line = node.line;
  problem.column = node.column;
}

}  // namespace

std::vector<Problem> problems_of(const std::string& error, const std::string& path) {
  std::vector<Problem> problems;
  for (const auto& line : lines_of(error)) problems.push_back(problem_of(line, path));
  return problems;
}

Problem located(const std::string& line, const std::string& text) {
  Problem problem{1, 1, key_in(line), line};
  const auto root = parse_document(text, "");
  if (!root || root->kind != Node::Kind::map) return problem;
  const auto& items = root->items;
  const auto place_by = [&](const auto& is_meant) {
    for (std::size_t i = 0; i + 1 < items.size(); i += 2)
      if (is_meant(items[i].text)) return place_at(items[i], items[i + 1], problem), true;
    return false;
  };
  place_by([&](const std::string& key) { return key == problem.key; }) ||
      place_by([&](const std::string& key) { return has_word(line, key); });
  return problem;
}

std::string problem_text(const Problem& problem, const std::string& path) {
  if (problem.line == 0) return problem.text.starts_with(path) ? problem.text : path + ": " + problem.text;
  return fmt::format("{}:{}:{}: {}", path, problem.line, problem.column, problem.text);
}

CheckedFile check_file(const std::string& text, const std::string& path, const std::string& directory,
                       uid_t user) {
  auto parsed = parse_yaml(text, path, directory, {});
  if (!parsed) return {{}, problems_of(parsed.error().text, path)};
  auto valid = validate(std::move(*parsed), user);
  if (valid) return {std::move(*valid), {}};
  CheckedFile checked;
  for (const auto& line : lines_of(valid.error().text)) checked.problems.push_back(located(line, text));
  return checked;
}

}  // namespace liveswap::config
