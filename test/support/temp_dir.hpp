#pragma once

#include <string>

namespace liveswap::test {

// A directory of its own, mode 0700, removed at its end with all that is in it. Its path is short, so that
// the path of a Unix socket in it has room.
class TempDir {
 public:
  TempDir();
  ~TempDir();
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;

  const std::string& path() const { return path_; }
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }

  // Each returns the path of what it has made in it; the directories above that are made too.
  std::string directory(const std::string& name) const;
  std::string write(const std::string& name, const std::string& content) const;

 private:
  std::string path_;
};

}  // namespace liveswap::test
