#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

namespace liveswap::release {

// The result of a successful upgrade or rollback for people, from its receipt (recorder.hpp) and the text of
// the engine in `words`, such as "generation 2 serves in 2 slots; the worker of …":
//
//   libapp.so (3fa9c1d2) → libapp_v2.so (ab12ef34): generation 2 serves in 2 slots after 0.3 s; 12
//   connections drained, none lost; the worker of …
//
// Leaves out members that the receipt lacks. Pure.
std::string success_text(const nlohmann::json& receipt, const std::string& words);

}  // namespace liveswap::release
