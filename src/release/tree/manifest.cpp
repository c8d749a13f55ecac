#include "release/tree/manifest.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>

namespace liveswap::release {
namespace {

constexpr std::size_t names_shown = 3;

std::string line_for(const TreeEntry& entry) {
  const std::string path = path_below(".", entry.path);
  switch (entry.kind) {
    case TreeEntry::Kind::directory: return fmt::format("d {:o} {}\n", entry.mode, path);
    case TreeEntry::Kind::file: return fmt::format("f {:o} {}  {}\n", entry.mode, entry.hash, path);
    case TreeEntry::Kind::link: return fmt::format("l {}//{}\n", path, entry.target);
  }
  return "";
}

// The path in a line of a manifest, relative to the tree.
std::optional<std::string> path_in(std::string_view line) {
  const auto begin = line.find(" .");
  if (line.empty() || begin == std::string_view::npos) return std::nullopt;
  auto path = line.substr(begin + 1);
  if (line.front() == 'l') path = path.substr(0, path.find("//"));
  if (path == ".") return "";
  return path.starts_with("./") ? std::optional<std::string>(path.substr(2)) : std::nullopt;
}

std::map<std::string, std::string_view> lines_by_path(std::string_view manifest) {
  std::map<std::string, std::string_view> lines;
  while (!manifest.empty()) {
    const auto line = manifest.substr(0, manifest.find('\n'));
    manifest.remove_prefix(std::min(line.size() + 1, manifest.size()));
    if (auto path = path_in(line)) lines[std::move(*path)] = line;
  }
  return lines;
}

void append_names(std::string& text, const char* what, const std::vector<std::string>& paths) {
  if (paths.empty()) return;
  text += fmt::format("{}{}: ", text.empty() ? "" : "; ", what);
  for (std::size_t i = 0; i < std::min(paths.size(), names_shown); ++i)
    text +=
        (i > 0 ? ", " : "") + (paths[i].empty() ? std::string("the directory itself") : printable(paths[i]));
  if (paths.size() > names_shown) text += fmt::format(" and {} more", paths.size() - names_shown);
}

}  // namespace

std::string manifest_of(const std::vector<TreeEntry>& entries) {
  std::vector<std::string> lines;
  lines.reserve(entries.size());
  for (const auto& entry : entries) lines.push_back(line_for(entry));
  std::sort(lines.begin(), lines.end());
  std::string text;
  for (const auto& line : lines) text += line;
  return text;
}

std::string Differences::text() const {
  std::string text;
  append_names(text, "missing", missing);
  append_names(text, "changed", changed);
  append_names(text, "added", added);
  return text;
}

Differences differences(std::string_view expected, std::string_view found) {
  const auto wanted = lines_by_path(expected), there = lines_by_path(found);
  Differences result;
  for (const auto& [path, line] : wanted) {
    const auto it = there.find(path);
    if (it == there.end()) result.missing.push_back(path);
    else if (it->second != line) result.changed.push_back(path);
  }
  for (const auto& [path, line] : there)
    if (!wanted.contains(path)) result.added.push_back(path);
  return result;
}

std::string manifest_path(const std::string& directory) { return directory + "/.manifest"; }

std::string printable(std::string_view text) {
  std::string shown;
  for (const unsigned char byte : text) {
    if (byte >= 0x20 && byte != 0x7f) shown += static_cast<char>(byte);
    else shown += fmt::format("\\x{:02x}", byte);
  }
  return shown;
}

}  // namespace liveswap::release
