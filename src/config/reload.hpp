#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "liveswap.hpp"

// What a running master does when a key of its configuration file has another value. Pure.
namespace liveswap::config {

// How a changed key is applied.
enum class Applies {
  at_once,     // the master uses the new value from now on
  generation,  // only new workers can have it: a rolling generation of the same release
  restart,     // not while the master runs
};

// "at once", "new generation", "restart".
const char* word(Applies applies);

struct ReloadRule {
  std::string_view key;  // as in key_names()
  Applies applies;
  std::string (*text)(const Options&);  // the value; equal texts mean equal values
  void (*take)(Options& into, const Options& from);
};

// One rule for each key.
std::span<const ReloadRule> reload_rules();

struct Change {
  std::string_view key;
  Applies applies;
  std::string text;  // "2 → 4"; of variables only the names, since values may be secret
};

struct ReloadPlan {
  std::vector<Change> changes;

  bool has(Applies applies) const;
  // "forks (2 → 4), environment (MODE changed)": the changes that are applied in this way.
  std::string text(Applies applies) const;
};

// What changes from `old` to `fresh`, both validated and settled (master/setup.hpp).
ReloadPlan plan_reload(const Options& old, const Options& fresh);

// Takes every key of the plan over.
void take_changes(const ReloadPlan& plan, const Options& fresh, Options& into);

}  // namespace liveswap::config
