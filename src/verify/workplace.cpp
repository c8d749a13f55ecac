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

void copy_writable(const fs::path& from, const fs::path& to, std::error_code& failed) {
  fs::copy_file(from, to, failed);
  if (!failed) fs::permissions(to, fs::perms::owner_write, fs::perm_options::add, failed);
}

// Private libraries, and modules of a script, are found by links.
void copy_with_neighbours(const fs::path& from, const fs::path& to, std::error_code& failed) {
  const fs::path above = fs::absolute(from).parent_path();
  for (fs::directory_iterator one(above, failed), end; !failed && one != end; one.increment(failed)) {
    std::error_code ignored;
    if (one->path().filename() != from.filename())
      fs::create_symlink(one->path(), to.parent_path() / one->path().filename(), ignored);
  }
  if (!failed) copy_writable(from, to, failed);
}

// Directories, files and links as they are. Without what no release has, and without `place`, which may lie
// in the directory.
void copy_tree(const fs::path& from, const fs::path& to, const fs::path& place, std::error_code& failed) {
  fs::create_directory(to, failed);
  fs::recursive_directory_iterator one(from, failed), end;
  for (; !failed && one != end; one.increment(failed)) {
    std::error_code ignored;
    const fs::path copy = to / one->path().lexically_relative(from);
    if (one->is_symlink(failed)) fs::copy_symlink(one->path(), copy, failed);
    else if (fs::equivalent(one->path(), place, ignored)) one.disable_recursion_pending();
    else if (one->is_directory(failed)) fs::create_directory(copy, failed);
    else if (one->is_regular_file(failed)) copy_writable(one->path(), copy, failed);
    if (failed) return;
  }
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
  if (fs::is_directory(from, failed)) copy_tree(from, copy, path_, failed);
  else copy_with_neighbours(from, copy, failed);
  if (failed) return os_fail("copy to " + copy.string(), path, failed.value());
  return copy.string();
}

}  // namespace liveswap::verify
