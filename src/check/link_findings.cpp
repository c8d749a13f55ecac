#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <set>
#include <string_view>
#include <tuple>

#include "check/findings.hpp"

namespace liveswap::checks {
namespace {

using Level = CheckFinding::Level;

constexpr std::string_view undefined = "undefined symbol: ";
constexpr std::string_view arrow = " => ";
constexpr std::string_view not_found = " => not found";

// "foo(int) (_Z3fooi)", or the symbol itself.
std::string readable(const std::string& symbol, const Names& names) {
  const std::string& name = name_of(symbol, names);
  return name == symbol ? symbol : fmt::format("{} ({})", name, symbol);
}

std::string base_name(std::string_view path) { return std::filesystem::path(path).filename().string(); }

std::string advice_for(const std::string& symbol) {
  if (symbol.rfind("liveswap_", 0) == 0)
    return "this version of liveswap has no such function: upgrade liveswap, or guard the call "
           "(LIVESWAP_WEAK)";
  return "link the object file or library that defines it; -Wl,-z,defs finds such a symbol when the library "
         "is made";
}

// The text between two marks; empty if one is missing.
std::string between(std::string_view line, std::string_view open, std::string_view close) {
  const auto from = line.find(open);
  if (from == std::string_view::npos) return {};
  const auto to = line.find(close, from + open.size());
  if (to == std::string_view::npos) return {};
  return std::string(line.substr(from + open.size(), to - from - open.size()));
}

template <class Take>
void for_each_line(std::string_view rest, Take take) {
  while (!rest.empty()) {
    const auto end = std::min(rest.find('\n'), rest.size());
    take(rest.substr(0, end));
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
}

// From "name\t(file)" or "name, version V\t(file)".
std::string symbol_in(std::string_view rest) {
  const std::string_view symbol = rest.substr(0, rest.find('\t'));
  return std::string(symbol.substr(0, symbol.find(", version ")));
}

class Reading {
 public:
  Reading(const std::string& path, bool library_path, const Names& names)
      : path_(path), library_path_(library_path), names_(names) {}

  void take(std::string_view line) {
    if (line.size() > not_found.size() && line.substr(line.size() - not_found.size()) == not_found)
      take_library(line);
    else if (line.find("' not found (required by ") != std::string_view::npos) take_version(line);
    else if (line.substr(0, undefined.size()) == undefined) take_symbol(line.substr(undefined.size()));
    else if (line.find(" (0x") != std::string_view::npos) ++loaded_;
  }

  Findings result() && {
    if (findings_.empty() && loaded_ > 0)
      findings_.push_back({Level::fine, "link", "every symbol and library that it needs is there", ""});
    std::stable_sort(findings_.begin(), findings_.end(), [](const CheckFinding& a, const CheckFinding& b) {
      return std::tie(a.kind, a.advice, a.text) < std::tie(b.kind, b.advice, b.text);
    });
    if (!library_missing_) return std::move(findings_);
    for (CheckFinding& finding : findings_)
      if (finding.kind == "missing_symbol")
        finding.advice = "it may be in a library that is missing; if not, " + finding.advice;
    return std::move(findings_);
  }

 private:
  void take_library(std::string_view line) {
    const auto begin = line.find_first_not_of(" \t");
    const std::string name(line.substr(begin, line.size() - not_found.size() - begin));
    if (!seen_.insert(name).second) return;
    library_missing_ = true;
    findings_.push_back({Level::error, "missing_library", fmt::format("the library {} is not found", name),
                         library_path_ ? "LD_LIBRARY_PATH is set here, and workers do not get it: link with "
                                         "-Wl,-rpath, or start with --env LD_LIBRARY_PATH=…"
                                       : "install it, or put it beside the library and link with "
                                         "-Wl,-rpath,'$ORIGIN'"});
  }

  // "host: /lib/libc.so.6: version `GLIBC_2.38' not found (required by /srv/libapp.so)"
  void take_version(std::string_view line) {
    const std::string version = between(line, "version `", "'");
    const std::string by = between(line, "(required by ", ")");
    const std::string_view before = line.substr(0, line.find(": version `"));
    const std::string library(before.substr(before.rfind(' ') + 1));
    versions_.insert(version);
    if (!seen_.insert(library + version + by).second) return;
    findings_.push_back({Level::error, "missing_version",
                         fmt::format("{} is of another version than expected: {} is not in it{}", library,
                                     version, needed_by(by)),
                         "build it on the oldest system that it shall run on, or upgrade this one"});
  }

  // "name\t(file)" or "name, version V\t(file)"
  void take_symbol(std::string_view rest) {
    const std::string by = between(rest, "\t(", ")");
    const std::string_view symbol = rest.substr(0, rest.find('\t'));
    const auto comma = symbol.find(", version ");
    const std::string name = symbol_in(rest);
    // Already reported as a missing version.
    if (comma != std::string_view::npos && versions_.count(std::string(symbol.substr(comma + 10))) > 0)
      return;
    if (!seen_.insert(name + by).second) return;
    findings_.push_back({Level::error, "missing_symbol",
                         fmt::format("nothing defines {}{}", readable(name, names_), needed_by(by)),
                         advice_for(name)});
  }

  // Empty for the checked library, the usual case.
  std::string needed_by(const std::string& by) const {
    return by.empty() || by == path_ ? "" : fmt::format(", which {} needs", base_name(by));
  }

  const std::string& path_;
  bool library_path_;
  const Names& names_;
  std::size_t loaded_ = 0;
  bool library_missing_ = false;
  std::set<std::string> seen_;
  std::set<std::string> versions_;
  Findings findings_;
};

}  // namespace

Findings link_findings(const std::string& path, const std::string& output, bool library_path,
                       const Names& names) {
  Reading reading(path, library_path, names);
  for_each_line(output, [&](std::string_view line) { reading.take(line); });
  return std::move(reading).result();
}

std::vector<std::string> undefined_symbols(const std::string& output) {
  std::vector<std::string> symbols;
  for_each_line(output, [&](std::string_view line) {
    if (line.substr(0, undefined.size()) == undefined)
      symbols.push_back(symbol_in(line.substr(undefined.size())));
  });
  return symbols;
}

// "\tlibuv.so.1 => /lib/libuv.so.1 (0x00007f3bdc488000)"
std::vector<std::pair<std::string, std::string>> linked_paths(const std::string& output) {
  std::vector<std::pair<std::string, std::string>> paths;
  for_each_line(output, [&](std::string_view line) {
    std::string name = between(line, "\t", arrow), path = between(line, arrow, " (0x");
    if (!name.empty() && !path.empty()) paths.emplace_back(std::move(name), std::move(path));
  });
  return paths;
}

}  // namespace liveswap::checks
