#include "base/remove_tree.hpp"

#include <sys/stat.h>

#include <filesystem>
#include <system_error>

namespace liveswap {

Result<void> remove_tree(const std::string& path) {
  namespace fs = std::filesystem;
  std::error_code failed;
  struct stat info {};
  if (::lstat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode)) {
    ::chmod(path.c_str(), 0700);
    // A directory is entered after its mode was set.
    for (fs::recursive_directory_iterator entry(path, failed), end; !failed && entry != end;
         entry.increment(failed)) {
      std::error_code ignored;
      if (entry->symlink_status(ignored).type() == fs::file_type::directory)
        ::chmod(entry->path().c_str(), 0700);
    }
  }
  fs::remove_all(path, failed);
  return failed ? Result<void>(os_fail("remove", path, failed.value())) : Result<void>();
}

}  // namespace liveswap
