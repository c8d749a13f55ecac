#include "check/private_libraries.hpp"

#include <unistd.h>

#include <filesystem>
#include <set>

#include "base/system_libraries.hpp"

namespace liveswap::checks {
namespace {

namespace fs = std::filesystem;

// Above any real application; bounds the work for a hostile one.
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

// The first match in the run path, unless in a system directory; empty: from the system.
std::string found_by_path(const std::string& needed, const ElfFile& file, const fs::path& directory) {
  if (needed.find('/') != std::string::npos)
    return names_origin(needed)
               ? fs::path(with_origin(needed, directory.string())).lexically_normal().string()
               : "";
  for (const std::string& part : file.run_path) {
    const auto place = (fs::path(with_origin(part, directory.string())) / needed).lexically_normal().string();
    if (place.front() != '/' || ::access(place.c_str(), R_OK) != 0) continue;
    return names_origin(part) || !is_system_library(place) ? place : "";
  }
  return "";
}

bool origin_finds(const std::string& needed, const ElfFile& file, const std::string& place,
                  const fs::path& directory) {
  if (needed.find('/') != std::string::npos) return true;
  for (const std::string& part : file.run_path)
    if ((fs::path(with_origin(part, directory.string())) / needed).lexically_normal().string() == place)
      return names_origin(part);
  return false;
}

// A library still to be visited.
struct Next {
  fs::path directory;
  ElfFile file;
  bool elsewhere = false;
};

// Adds the path to the right list.
void sort_in(PrivateLibraries& found, const std::string& place, const fs::path& home, bool elsewhere,
             bool rpath) {
  if (elsewhere) {
    found.elsewhere.push_back(place);
    if (rpath) found.by_rpath.push_back(place);
    return;
  }
  const auto relative = fs::path(place).lexically_relative(home);
  if (relative.empty() || *relative.begin() == "..") found.outside.push_back(place);
  else found.inside.push_back(relative.string());
}

}  // namespace

PrivateLibraries private_libraries(const std::string& path, const ElfFile& file) {
  PrivateLibraries found;
  for (const std::string& part : file.run_path) found.uses_origin = found.uses_origin || names_origin(part);
  const fs::path home = fs::path(path).lexically_normal().parent_path();
  std::set<std::string> seen;
  std::vector<Next> to_look_at;
  to_look_at.push_back({home, file, false});
  while (!to_look_at.empty()) {
    const Next library = std::move(to_look_at.back());
    to_look_at.pop_back();
    for (const std::string& needed : library.file.needed) {
      const std::string place = found_by_path(needed, library.file, library.directory);
      if (place.empty() || seen.size() >= most_libraries || !seen.insert(place).second) continue;
      const bool elsewhere =
          library.elsewhere || !origin_finds(needed, library.file, place, library.directory);
      sort_in(found, place, home, elsewhere, library.file.old_run_path);
      if (auto next = ElfFile::read(place))
        to_look_at.push_back({fs::path(place).parent_path(), std::move(*next), elsewhere});
    }
  }
  return found;
}

}  // namespace liveswap::checks
