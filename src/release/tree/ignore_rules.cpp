#include "release/tree/ignore_rules.hpp"

#include <fmt/format.h>
#include <fnmatch.h>

#include <algorithm>

namespace liveswap::release {
namespace {

constexpr std::string_view at_any_depth = "**/";

std::string_view without_trailing(std::string_view line) {
  // A backslash keeps a space at the end, as in git.
  while (!line.empty() && (line.back() == ' ' || line.back() == '\r' || line.back() == '\t') &&
         !(line.size() > 1 && line[line.size() - 2] == '\\'))
    line.remove_suffix(1);
  return line;
}

}  // namespace

IgnoreRules::IgnoreRules() {
  for (const char* name : {".git", ".hg", ".svn"}) rules_.push_back({name});
}

Result<IgnoreRules> IgnoreRules::parse(std::string_view text, const std::string& shown) {
  IgnoreRules rules;
  for (std::size_t number = 1; !text.empty(); ++number) {
    const auto line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    auto added = rules.add(without_trailing(line));
    if (added && rules.rules_.size() > rules_limit)
      added = fail(fmt::format("found more than {} patterns", rules_limit));
    if (!added) return fail(fmt::format("{}, line {}: {}", shown, number, added.error().text));
  }
  return rules;
}

Result<void> IgnoreRules::add(std::string_view line) {
  if (line.empty() || line.front() == '#') return {};
  if (line.find('\0') != std::string_view::npos) return fail("found a NUL byte, expected text");
  Rule rule;
  if ((rule.takes = line.front() == '!')) line.remove_prefix(1);
  while (line.ends_with('/')) {
    rule.only_directories = true;
    line.remove_suffix(1);
  }
  if (line.starts_with(at_any_depth) && line.find('/', at_any_depth.size()) == std::string_view::npos)
    line.remove_prefix(at_any_depth.size());
  if (line.find("**") != std::string_view::npos)
    return fail(
        fmt::format("\"{}\": ** is only known as **/ before a single name: a pattern without a slash matches "
                    "at any depth, one with a slash from the top",
                    line));
  rule.from_top = line.find('/') != std::string_view::npos;
  if (line.starts_with('/')) line.remove_prefix(1);
  rule.pattern = line;
  if (!rule.pattern.empty()) rules_.push_back(std::move(rule));
  return {};
}

bool IgnoreRules::matches(const Rule& rule, const std::string& path, bool is_directory) {
  if (rule.only_directories && !is_directory) return false;
  const char* subject = rule.from_top ? path.c_str() : path.c_str() + path.rfind('/') + 1;
  return ::fnmatch(rule.pattern.c_str(), subject, FNM_PATHNAME) == 0;
}

bool IgnoreRules::ignores(const std::string& path, bool is_directory) const {
  const auto last = std::find_if(rules_.rbegin(), rules_.rend(),
                                 [&](const Rule& rule) { return matches(rule, path, is_directory); });
  return last != rules_.rend() && !last->takes;
}

}  // namespace liveswap::release
