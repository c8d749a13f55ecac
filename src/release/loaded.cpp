#include "release/loaded.hpp"

#include <sstream>

#include "base/system_libraries.hpp"

namespace liveswap::release {
namespace {

constexpr unsigned named_at_most = 3;

}  // namespace

std::string outside_remark(const std::string& loaded, const std::string& directory) {
  std::istringstream lines(loaded);
  std::string names;
  unsigned count = 0;
  for (std::string path; std::getline(lines, path);) {
    // A name without a slash is the kernel's (linux-vdso.so.1). Compares text only: the paths come from a
    // process that ran code of the release, and the master must not block on a dead file system.
    if (path.starts_with("!") || path.find('/') == std::string::npos || path.starts_with(directory + "/") ||
        is_named_as_system_library(path))
      continue;
    if (++count <= named_at_most) names += (names.empty() ? "" : ", ") + path;
  }
  if (count == 0) return "";
  if (count > named_at_most) names += " and " + std::to_string(count - named_at_most) + " more";
  return names + (count == 1 ? " is" : " are") +
         " not part of the release: workers load what is there when they start, so a respawn may meet "
         "another file or "
         "none. Found by DT_RUNPATH and a plain name (-Wl,--enable-new-dtags, -soname) it is copied along, "
         "not by DT_RPATH, "
         "a path in DT_NEEDED, LD_LIBRARY_PATH or dlopen(); a directory of /etc/ld.so.conf is the system's";
}

}  // namespace liveswap::release
