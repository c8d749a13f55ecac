#include "verify/workplace.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>

#include "base/remove_tree.hpp"

namespace liveswap::verify {
namespace {

namespace fs = std::filesystem;

// Leaves room for the control socket: a Unix socket path has at most 107 bytes.
constexpr std::size_t longest_place = 60;

std::string place() {
  const char* chosen = ::getenv("TMPDIR");
  return chosen && *chosen == '/' && std::string(chosen).size() <= longest_place ? chosen : "/tmp";
}

}  // namespace

Result<Workplace> Workplace::make() {
  std::string path = place() + "/liveswap-verify-XXXXXX";
  if (!::mkdtemp(path.data())) return os_fail("make a temporary directory in", place(), errno);
  // Search permission for workers of other users; files inside have their own modes.
  ::chmod(path.c_str(), 0711);
  return Workplace(std::move(path));
}

Workplace::~Workplace() {
  if (path_.empty()) return;
  [[maybe_unused]] const auto removed = remove_tree(path_);
}

Result<std::string> Workplace::copy_release(const std::string& path) const {
  const fs::path given = fs::path(path).lexically_normal();
  const fs::path from = given.has_filename() ? given : given.parent_path();
  const fs::path directory(path_ + "/copy"), copy = directory / from.filename();
  std::error_code failed;
  fs::remove_all(directory, failed);
  fs::create_directory(directory, failed);
  if (failed) return os_fail("make the directory", directory, failed.value());
  const bool is_directory = fs::is_directory(from, failed);
  if (!is_directory)
    for (const auto& neighbour : fs::directory_iterator(fs::absolute(from).parent_path(), failed))
      if (neighbour.path().filename() != from.filename())
        fs::create_symlink(neighbour.path(), directory / neighbour.path().filename(), failed);
  // A link like `current` is followed.
  fs::copy(fs::canonical(from, failed), copy, fs::copy_options::recursive | fs::copy_options::copy_symlinks,
           failed);
  if (failed) return os_fail("copy to " + copy.string(), path, failed.value());
  return copy.string();
}

}  // namespace liveswap::verify
