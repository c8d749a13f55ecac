// Checks whether a library calls any function that can block. If not, its liveswap_main returns at once.
#include <algorithm>
#include <string_view>

#include "check/findings.hpp"

namespace liveswap::checks {
namespace {

// Runtime libraries: their blocking functions are listed in names.cpp.
bool is_runtime(std::string_view name) {
  constexpr std::string_view runtime[] = {"libc.",     "libm.",      "libpthread.", "libdl.",     "librt.",
                                          "libgcc_s.", "libstdc++.", "libc++.",     "libc++abi.", "ld-linux"};
  return std::any_of(std::begin(runtime), std::end(runtime),
                     [&](std::string_view prefix) { return name.substr(0, prefix.size()) == prefix; });
}

}  // namespace

Findings wait_findings(const ElfFile& file) {
  const bool known = file.has_symbols && file.entry == ElfFile::Entry::function && !file.go;
  // Another library may block: uv_run(), event_base_dispatch() …
  const bool alone = std::all_of(file.needed.begin(), file.needed.end(), is_runtime);
  if (!known || !alone || file.waits || file.entry_name != "liveswap_main") return {};
  return {
      {CheckFinding::Level::warning, "returns",
       "it calls no function that can wait (accept, poll, epoll_wait, read …): its liveswap_main would "
       "return at once, and "
       "a worker whose liveswap_main returns before it was told to drain has failed",
       "serve until liveswap_drain_fd() is readable, then return 0; samples/hello.c does it on one page"}};
}

}  // namespace liveswap::checks
