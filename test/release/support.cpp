#include "support.hpp"

#include <dlfcn.h>
#include <doctest/doctest.h>
#include <link.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>

namespace fs = std::filesystem;

void put(const std::string& path, const std::string& text) {
  fs::create_directories(fs::path(path).parent_path());
  std::ofstream(path, std::ios::binary) << text;
}

std::string get(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

mode_t mode_of(const std::string& path) {
  struct stat info {};
  ::stat(path.c_str(), &info);
  return info.st_mode & 07777;
}

std::map<std::string, std::string> tree(const std::string& path) {
  std::map<std::string, std::string> found;
  for (const auto& entry : fs::recursive_directory_iterator(path))
    found[fs::relative(entry.path(), path).string()] =
        entry.is_directory() ? "/" : get(entry.path().string());
  return found;
}

std::string noise(std::size_t size, unsigned seed) {
  std::mt19937 dice(seed);
  std::string bytes(size, '\0');
  for (char& byte : bytes) byte = static_cast<char>(dice());
  return bytes;
}

void put_library(const std::string& name, const std::string& path) {
  const std::string built = std::string(FAMILY) + "/lib" + name + ".so";
  REQUIRE(fs::exists(built));
  put(path, get(built));
}

namespace {

bool all_below(const std::string& directory) {
  return ::dl_iterate_phdr(
             [](dl_phdr_info* info, std::size_t, void* context) {
               const std::string name = info->dlpi_name;
               const bool family =
                   fs::path(name).filename().string().starts_with("lib") && contains(name, "liveswap-test-");
               return family && !name.starts_with(*static_cast<std::string*>(context)) ? 1 : 0;
             },
             const_cast<std::string*>(&directory)) == 0;
}

}  // namespace

int call_in_child(const std::string& library, const std::string& function, const std::string& only_below) {
  const pid_t child = ::fork();
  if (child == 0) {
    void* handle = ::dlopen(library.c_str(), RTLD_NOW | RTLD_LOCAL);
    void* found = handle ? ::dlsym(handle, function.c_str()) : nullptr;
    if (!found) ::_exit(254);
    ::_exit(all_below(only_below) ? reinterpret_cast<int (*)()>(found)() : 255);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  const int value = WIFEXITED(status) ? WEXITSTATUS(status) : 254;
  return value == 254 ? -1 : value;
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}
