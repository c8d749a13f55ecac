#pragma once

#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>

// A directory of its own with one configuration file, gone with the object.
class ConfigFile {
 public:
  explicit ConfigFile(const std::string& text) {
    std::string name = (std::filesystem::temp_directory_path() / "liveswap-config-XXXXXX").string();
    if (!::mkdtemp(name.data())) throw std::runtime_error("cannot make " + name);
    directory_ = name;
    std::ofstream(path(), std::ios::binary) << text;
  }
  ~ConfigFile() {
    std::error_code ignored;
    std::filesystem::remove_all(directory_, ignored);
  }
  ConfigFile(const ConfigFile&) = delete;
  ConfigFile& operator=(const ConfigFile&) = delete;

  const std::string& directory() const { return directory_; }
  std::string path() const { return directory_ + "/liveswap.yaml"; }

 private:
  std::string directory_;
};
