#pragma once

#include <string>

namespace liveswap::test {

// A directory of its own, mode 0700, removed with its content at destruction. The path is short, so that the
// path of a Unix socket in it fits.
class TempDir {
 public:
  TempDir();
  ~TempDir();
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;

  const std::string& path() const { return path_; }
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }

  // Each makes an entry in the directory, with the directories above, and returns its path.
  std::string directory(const std::string& name) const;
  std::string write(const std::string& name, const std::string& content) const;

 private:
  std::string path_;
};

}  // namespace liveswap::test
