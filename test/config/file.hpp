#pragma once

#include <string>

#include "test/support/temp_dir.hpp"

// A directory with one configuration file, removed with the object.
class ConfigFile {
 public:
  explicit ConfigFile(const std::string& text) : path_(directory_.write("liveswap.yaml", text)) {}

  const std::string& directory() const { return directory_.path(); }
  const std::string& path() const { return path_; }

 private:
  liveswap::test::TempDir directory_;
  std::string path_;
};
