#include "host.hpp"

#include <dlfcn.h>
#include <stdlib.h>

#include <stdexcept>
#include <utility>

#include "liveswap_plugin.h"

namespace {
std::vector<std::string> lines;
}

extern "C" LIVESWAP_EXPORT void liveswap_log(int level, const char* text) {
  lines.push_back(std::to_string(level) + " " + text);
}

std::vector<std::string> logged() { return std::exchange(lines, {}); }

Answer ask(const std::string& plugin, const std::string& value) {
  void* library = ::dlopen(plugin.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!library) throw std::runtime_error(::dlerror());
  const auto preupgrade =
      reinterpret_cast<decltype(&liveswap_preupgrade)>(::dlsym(library, "liveswap_preupgrade"));
  if (!preupgrade) throw std::runtime_error(::dlerror());
  Answer answer;
  const auto done = [](void* ctx, const char* error, const char* path) {
    auto& into = *static_cast<Answer*>(ctx);
    ++into.calls;
    into.refused = error != nullptr;
    into.error = error ? error : "";
    into.kept = !error && !path;
    into.path = path ? path : "";
  };
  preupgrade(value.c_str(), done, &answer);
  ::dlclose(library);
  return answer;
}

Variable::Variable(const char* name, const std::string& value) : name_(name) {
  ::setenv(name, value.c_str(), 1);
}
Variable::~Variable() { ::unsetenv(name_); }
