#include "support/temp_dir.hpp"

#include <doctest/doctest.h>

#include <cstdlib>
#include <filesystem>

namespace scenario {

TempDir::TempDir() {
  // Short and not $TMPDIR: the path of a Unix socket has room for 107 bytes.
  path_ = "/tmp/liveswap-test-XXXXXX";
  REQUIRE(::mkdtemp(path_.data()) != nullptr);
}

TempDir::~TempDir() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

std::string TempDir::directory(const std::string& name) const {
  std::filesystem::create_directories(path_ + "/" + name);
  return path_ + "/" + name;
}

}  // namespace scenario
