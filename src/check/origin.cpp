#include "check/origin.hpp"

#include <unistd.h>

#include <filesystem>
#include <set>

namespace liveswap::preflight {
namespace {

namespace fs = std::filesystem;

// More than any application brings along; ends what a maliciously made library would make long.
constexpr std::size_t most_libraries = 512;

bool names_origin(const std::string& text) {
  return text.find("$ORIGIN") != std::string::npos || text.find("${ORIGIN}") != std::string::npos;
}

std::string with_origin(std::string text, const std::string& directory) {
  for (const std::string_view name : {std::string_view("${ORIGIN}"), std::string_view("$ORIGIN")})
    for (auto at = text.find(name); at != std::string::npos; at = text.find(name, at + directory.size()))
      text.replace(at, name.size(), directory);
  return text;
}

// The first place of the run path that has the library; empty: it comes from elsewhere.
std::string found_by_origin(const std::string& needed, const ElfFile& file, const fs::path& directory) {
  if (needed.find('/') != std::string::npos)
    return names_origin(needed) ? fs::path(with_origin(needed, directory.string())).lexically_normal().string() : "";
  for (const std::string& part : file.run_path) {
    const auto place = (fs::path(with_origin(part, directory.string())) / needed).lexically_normal().string();
    if (::access(place.c_str(), R_OK) == 0) return names_origin(part) ? place : "";
  }
  return "";
}

}  // namespace

PrivateLibraries private_libraries(const std::string& path, const ElfFile& file) {
  PrivateLibraries found;
  for (const std::string& part : file.run_path) found.uses_origin = found.uses_origin || names_origin(part);
  const fs::path home = fs::path(path).lexically_normal().parent_path();
  std::set<std::string> seen;
  std::vector<std::pair<fs::path, ElfFile>> to_look_at{{home, file}};
  while (!to_look_at.empty()) {
    const auto [directory, library] = std::move(to_look_at.back());
    to_look_at.pop_back();
    for (const std::string& needed : library.needed) {
      const std::string place = found_by_origin(needed, library, directory);
      if (place.empty() || seen.size() >= most_libraries || !seen.insert(place).second) continue;
      const auto relative = fs::path(place).lexically_relative(home);
      if (relative.empty() || *relative.begin() == "..")
        found.outside.push_back(place);
      else
        found.inside.push_back(relative.string());
      if (auto next = ElfFile::read(place)) to_look_at.emplace_back(fs::path(place).parent_path(), std::move(*next));
    }
  }
  return found;
}

}  // namespace liveswap::preflight
