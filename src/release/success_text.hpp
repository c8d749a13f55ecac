#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

namespace liveswap::release {

// What an upgrade or rollback that succeeded has done, for people, from its receipt (recorder.hpp) and the
// engine's own words, as "generation 2 serves in 2 slots; the worker of …":
//
//   libapp.so (3fa9c1d2) → libapp_v2.so (ab12ef34): generation 2 serves in 2 slots after 0.3 s; 12
//   connections drained, none lost; the worker of …
//
// Pure. Members that are missing in the receipt are left out of the text.
std::string success_text(const nlohmann::json& receipt, const std::string& words);

}  // namespace liveswap::release
