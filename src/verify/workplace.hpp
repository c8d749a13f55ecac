#pragma once

#include <string>

#include "base/error.hpp"

namespace liveswap::verify {

// A temporary directory in $TMPDIR; the destructor removes it.
class Workplace {
 public:
  static Result<Workplace> make();
  ~Workplace();
  Workplace(Workplace&& other) noexcept : path_(std::move(other.path_)) { other.path_.clear(); }
  Workplace& operator=(Workplace&&) = delete;

  std::string operator/(const std::string& name) const { return path_ + "/" + name; }

  // Copies a file into a directory of its own, with symbolic links to its neighbours (private libraries,
  // modules of a script); or a directory with its files, directories and links. All copied files can be
  // written to. Returns the path of the copy.
  Result<std::string> copy_release(const std::string& path) const;

 private:
  explicit Workplace(std::string path) : path_(std::move(path)) {}
  std::string path_;
};

}  // namespace liveswap::verify
