#include "test/support/temp_dir.hpp"

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <system_error>

namespace fs = std::filesystem;

namespace liveswap::test {

// Not below $TMPDIR: the path of a Unix socket has room for 107 bytes.
TempDir::TempDir() : path_("/tmp/liveswap-test-XXXXXX") {
  if (::mkdtemp(path_.data()) == nullptr) throw std::system_error(errno, std::generic_category(), path_);
}

TempDir::~TempDir() {
  std::error_code failed, ignored;
  fs::remove_all(path_, failed);
  if (!failed) return;
  // Nobody may write to the directories of a release.
  for (fs::recursive_directory_iterator entry(path_, ignored), end; !ignored && entry != end;
       entry.increment(ignored))
    if (!entry->is_symlink() && entry->is_directory())
      fs::permissions(entry->path(), fs::perms::owner_all, ignored);
  fs::remove_all(path_, ignored);
}

std::string TempDir::directory(const std::string& name) const {
  fs::create_directories(*this / name);
  return *this / name;
}

std::string TempDir::write(const std::string& name, const std::string& content) const {
  fs::create_directories(fs::path(*this / name).parent_path());
  std::ofstream(*this / name, std::ios::binary) << content;
  return *this / name;
}

}  // namespace liveswap::test
