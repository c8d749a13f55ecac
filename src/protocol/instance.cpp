#include "protocol/instance.hpp"

#include <pwd.h>
#include <unistd.h>

#include <cstdlib>

namespace liveswap::protocol {
namespace {

// The specification of these variables says that a relative path in them is to be ignored.
std::string directory_variable(const char* name) {
  const char* value = ::getenv(name);
  return value && value[0] == '/' ? value : "";
}

std::string home() {
  if (auto path = directory_variable("HOME"); !path.empty()) return path;
  const passwd* entry = ::getpwuid(::geteuid());
  return entry && entry->pw_dir ? entry->pw_dir : "/";
}

std::string default_state_dir() {
  const auto base = directory_variable("XDG_STATE_HOME");
  return (base.empty() ? home() + "/.local/state" : base) + "/liveswap";
}

std::string default_runtime_dir() {
  if (const auto base = directory_variable("XDG_RUNTIME_DIR"); !base.empty()) return base + "/liveswap";
  return ::geteuid() == 0 ? "/run/liveswap" : "/tmp/liveswap-" + std::to_string(::geteuid());
}

}  // namespace

Instance locate_instance(std::uint16_t port, const std::string& state_dir, const std::string& runtime_dir) {
  return {port, state_dir.empty() ? default_state_dir() + "/" + std::to_string(port) : state_dir,
          runtime_dir.empty() ? default_runtime_dir() : runtime_dir};
}

}  // namespace liveswap::protocol
