#pragma once

#include <map>
#include <nlohmann/json.hpp>
#include <string>

#include "json/fields.hpp"

namespace liveswap::master {

// The runtimes of scripts by the release's id, as liveswap-store has recorded them: {"path", "version",
// "sha256"}. For receipts and the status.
class KnownRuntimes {
 public:
  // `runtime`: from an answer of liveswap-store; anything but an object is ignored.
  void note(const std::string& id, const nlohmann::json& runtime) {
    if (!runtime.is_object()) return;
    known_[id] = {{"path", json::text_or_empty(runtime, "path")},
                  {"version", json::text_or_empty(runtime, "version")},
                  {"sha256", json::text_or_empty(runtime, "sha256")}};
  }
  // Null: none is known, as for a plugin.
  nlohmann::json of(const std::string& id) const {
    const auto found = known_.find(id);
    return found == known_.end() ? nlohmann::json() : found->second;
  }
  bool has(const std::string& id) const { return known_.contains(id); }

 private:
  std::map<std::string, nlohmann::json> known_;
};

}  // namespace liveswap::master
