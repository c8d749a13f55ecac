#pragma once

#include <optional>
#include <vector>

#include "config/health.hpp"
#include "liveswap.hpp"
#include "master/app_listeners/app_listeners.hpp"
#include "master/health/worker_check.hpp"
#include "rollout/types.hpp"

// Converts the options into the settings of the master's parts.
namespace liveswap::master {

rollout::Settings engine_settings(const Options& options);

// The default pace of upgrades.
rollout::Pace pace_of(const Options& options);

std::vector<config::HealthProbe> probes_of(const Options& options);

// nullopt: no liveness checks. `commands`: user, directory and environment of commands.
std::optional<WorkerCheck::Plan> liveness_plan(const Options& options, const spawn::Request& commands);

// `lends`: the master has listeners of its own, of --listen or of the service manager.
AppListeners::Rules app_listener_rules(const Options& options, const std::optional<spawn::Identity>& identity,
                                       bool lends);

// The options of the worker host (contract/channel.h) that differ from its defaults, as words: name, value, …
std::vector<std::string> worker_words(const Options& options);

// Those of them that say what starts a release; a check gets these only.
std::vector<std::string> launch_words(const Options& options);

// nullopt for a negative value, which means no limit.
std::optional<rollout::Time> limit_of(Milliseconds value);

}  // namespace liveswap::master
