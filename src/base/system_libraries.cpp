#include "base/system_libraries.hpp"

#include <glob.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <memory>
#include <set>
#include <sstream>
#include <string_view>
#include <utility>

namespace liveswap {
namespace {

constexpr std::array<std::string_view, 8> trees{"/lib/",     "/lib32/",     "/lib64/",     "/libx32/",
                                                "/usr/lib/", "/usr/lib32/", "/usr/lib64/", "/usr/libx32/"};
// Limit of nested includes: stops a file that includes itself.
constexpr unsigned deepest = 8;

struct Directories {
  std::set<std::pair<dev_t, ino_t>> files;   // by identity: /lib may be a link to usr/lib
  std::set<std::string, std::less<>> names;  // as configured, and with links resolved; with a final slash
};

void add(Directories& directories, const std::string& path) {
  struct stat info {};
  if (!path.starts_with('/') || ::stat(path.c_str(), &info) != 0) return;
  directories.files.insert({info.st_dev, info.st_ino});
  directories.names.insert(path.substr(0, path.find_last_not_of('/') + 1) + "/");
  const std::unique_ptr<char, decltype(&::free)> resolved(::realpath(path.c_str(), nullptr), ::free);
  if (resolved) directories.names.insert(std::string(resolved.get()) + "/");
}

// Each line is a directory or "include PATTERN" (ldconfig(8)).
void read_configuration(Directories& directories, const std::string& file, unsigned depth) {
  std::ifstream lines(file);
  for (std::string line; depth < deepest && std::getline(lines, line);) {
    std::istringstream words(line.substr(0, line.find('#')));
    std::string word, pattern;
    words >> word;
    if (word != "include") add(directories, word.substr(0, word.find('=')));
    while (word == "include" && words >> pattern) {
      const auto above = file.substr(0, file.rfind('/') + 1);
      glob_t found{};
      if (::glob((pattern.starts_with('/') ? pattern : above + pattern).c_str(), 0, nullptr, &found) == 0)
        for (std::size_t i = 0; i < found.gl_pathc; ++i)
          read_configuration(directories, found.gl_pathv[i], depth + 1);
      ::globfree(&found);
    }
  }
}

const Directories& configured() {
  static const Directories directories = [] {
    Directories found;
    read_configuration(found, "/etc/ld.so.conf", 0);
    return found;
  }();
  return directories;
}

}  // namespace

bool is_named_as_system_library(std::string_view path) {
  if (!path.starts_with('/') || path.find("/../") != std::string_view::npos) return false;
  return std::any_of(trees.begin(), trees.end(),
                     [&](std::string_view tree) { return path.starts_with(tree); }) ||
         configured().names.contains(path.substr(0, path.rfind('/') + 1));
}

bool is_system_library(const std::string& path) {
  if (is_named_as_system_library(path)) return true;
  if (!path.starts_with('/') || path.find("/../") != std::string::npos) return false;
  struct stat info {};
  return ::stat(path.substr(0, path.rfind('/') + 1).c_str(), &info) == 0 &&
         configured().files.contains({info.st_dev, info.st_ino});
}

}  // namespace liveswap
