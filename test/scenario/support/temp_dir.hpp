#pragma once

#include <string>

namespace scenario {

// A directory of its own, mode 0700, removed with all that is in it.
class TempDir {
 public:
  TempDir();
  ~TempDir();
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;

  const std::string& path() const { return path_; }
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }

  // A new directory in it.
  std::string directory(const std::string& name) const;

 private:
  std::string path_;
};

}  // namespace scenario
