#pragma once

#include <string>

#include "base/error.hpp"

namespace liveswap::verify {

// A temporary directory in $TMPDIR, removed with all that is in it when this goes.
class Workplace {
 public:
  static Result<Workplace> make();
  ~Workplace();
  Workplace(Workplace&& other) noexcept : path_(std::move(other.path_)) { other.path_.clear(); }
  Workplace& operator=(Workplace&&) = delete;

  std::string operator/(const std::string& name) const { return path_ + "/" + name; }

  // A copy of a library in a directory of its own, with links to its neighbours, among which it may look for
  // its private libraries.
  Result<std::string> copy_library(const std::string& library) const;

 private:
  explicit Workplace(std::string path) : path_(std::move(path)) {}
  std::string path_;
};

}  // namespace liveswap::verify
