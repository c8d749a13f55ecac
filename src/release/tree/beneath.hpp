#pragma once

#include <string>

#include "base/unique_fd.hpp"

namespace liveswap::release {

// Opens directories below a directory; no component of a path may be a symbolic link, so nothing outside is
// reached, whatever is renamed meanwhile. Keeps the last directory open: paths in order are cheap.
class Beneath {
 public:
  // `top`: borrowed.
  explicit Beneath(int top) : top_(top) {}

  // The directory with this relative path; empty: the top. Borrowed until the next call. -1 and errno.
  int directory(const std::string& path);

 private:
  int top_;
  std::string path_;
  UniqueFd fd_;
};

// "a/b" of "a/b/c"; empty: the top. And "c".
std::string directory_above(const std::string& path);
std::string last_name(const std::string& path);

}  // namespace liveswap::release
