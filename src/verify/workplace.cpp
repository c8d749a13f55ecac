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

Result<std::string> Workplace::copy_library(const std::string& library) const {
  const fs::path from(library), directory(path_ + "/copy");
  const fs::path copy = directory / from.filename();
  std::error_code failed;
  fs::remove_all(directory, failed);
  fs::create_directory(directory, failed);
  if (failed) return os_fail("make the directory", directory, failed.value());
  for (const auto& neighbour : fs::directory_iterator(from.parent_path(), failed))
    if (neighbour.path().filename() != from.filename())
      fs::create_symlink(neighbour.path(), directory / neighbour.path().filename(), failed);
  fs::copy_file(from, copy, failed);
  if (failed) return os_fail("copy to " + copy.string(), library, failed.value());
  return copy.string();
}

}  // namespace liveswap::verify
