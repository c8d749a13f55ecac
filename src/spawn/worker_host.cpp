#include "spawn/worker_host.hpp"

#include <dlfcn.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <filesystem>
#include <string_view>

#include "base/file.hpp"
#include "systemd/environment.hpp"

extern char** environ;

namespace liveswap::spawn {
namespace {

constexpr const char* host_name = "liveswap-worker";

std::string directory_of_program() {
  std::error_code failed;
  const auto path = std::filesystem::read_symlink("/proc/self/exe", failed);
  return failed ? "" : path.parent_path().string();
}

std::string directory_of_library() {
  Dl_info info{};
  if (::dladdr(reinterpret_cast<void*>(&find_worker_host), &info) == 0 || !info.dli_fname) return "";
  return std::filesystem::path(absolute_path(info.dli_fname, current_directory())).parent_path().string();
}

bool steers_the_loader(std::string_view variable) {
  return variable.substr(0, 3) == "LD_" || variable.substr(0, 15) == "GLIBC_TUNABLES=";
}

}  // namespace

Result<std::string> find_worker_host(const std::string& configured) {
  std::vector<std::string> places;
  if (!configured.empty()) {
    places.push_back(configured);
  } else {
    for (const auto& directory : {directory_of_program(), directory_of_library()}) {
      if (directory.empty()) continue;
      const auto above = std::filesystem::path(directory).parent_path();
      places.push_back(directory + "/" + host_name);
      places.push_back((above / "libexec/liveswap" / host_name).string());
      // Debian's multiarch libraries lie one directory deeper: lib/x86_64-linux-gnu.
      places.push_back((above.parent_path() / "libexec/liveswap" / host_name).string());
    }
    places.push_back(std::string(LIVESWAP_LIBEXECDIR "/") + host_name);
  }
  for (const auto& place : places)
    if (::access(place.c_str(), X_OK) == 0) return place;
  return fail(
      fmt::format("cannot find the worker host {}; looked at {}", host_name, fmt::join(places, ", ")));
}

std::vector<std::string> child_environment(const std::map<std::string, std::string>& configured) {
  std::map<std::string, std::string> variables;
  for (char** entry = environ; entry && *entry; ++entry) {
    const std::string_view variable = *entry;
    const auto equals = variable.find('=');
    if (equals == std::string_view::npos || steers_the_loader(variable) ||
        systemd::is_for_main_process(variable))
      continue;
    variables[std::string(variable.substr(0, equals))] = variable.substr(equals + 1);
  }
  for (const auto& [name, value] : configured) variables[name] = value;
  std::vector<std::string> list;
  for (const auto& [name, value] : variables) list.push_back(name + "=" + value);
  return list;
}

void add_library_path(std::vector<std::string>& environment, const std::string& directory) {
  if (directory.empty()) return;
  const std::string name = "LD_LIBRARY_PATH=";
  for (auto& variable : environment)
    if (variable.starts_with(name)) {
      variable += (variable == name ? "" : ":") + directory;
      return;
    }
  environment.push_back(name + directory);
}

}  // namespace liveswap::spawn
