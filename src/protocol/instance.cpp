#include "protocol/instance.hpp"

#include <pwd.h>
#include <unistd.h>

#include <cstdlib>

namespace liveswap::protocol {
namespace {

// The XDG specification tells programs to ignore relative paths in these variables.
std::string directory_variable(const char* name) {
  const char* value = ::getenv(name);
  return value && value[0] == '/' ? value : "";
}

std::string home() {
  if (auto path = directory_variable("HOME"); !path.empty()) return path;
  const passwd* entry = ::getpwuid(::geteuid());
  return entry && entry->pw_dir ? entry->pw_dir : "/";
}

std::string default_state_dir(std::uint16_t port) {
  const auto base = directory_variable("XDG_STATE_HOME");
  if (!base.empty()) return base + "/liveswap/" + std::to_string(port);
  if (::geteuid() != 0) return home() + "/.local/state/liveswap/" + std::to_string(port);
  const auto earlier = earlier_state_dir(port);
  const bool moved = ::access(root_state_dir(port).c_str(), F_OK) == 0;
  return moved || ::access((earlier + "/HEAD").c_str(), F_OK) != 0 ? root_state_dir(port) : earlier;
}

std::string default_runtime_dir() {
  if (const auto base = directory_variable("XDG_RUNTIME_DIR"); !base.empty()) return base + "/liveswap";
  return ::geteuid() == 0 ? "/run/liveswap" : "/tmp/liveswap-" + std::to_string(::geteuid());
}

}  // namespace

std::string root_state_dir(std::uint16_t port) { return "/var/lib/liveswap/" + std::to_string(port); }

std::string earlier_state_dir(std::uint16_t port) {
  if (::geteuid() != 0 || !directory_variable("XDG_STATE_HOME").empty()) return "";
  return home() + "/.local/state/liveswap/" + std::to_string(port);
}

Instance locate_instance(std::uint16_t port, const std::string& state_dir, const std::string& runtime_dir) {
  return {port, state_dir.empty() ? default_state_dir(port) : state_dir,
          runtime_dir.empty() ? default_runtime_dir() : runtime_dir};
}

}  // namespace liveswap::protocol
