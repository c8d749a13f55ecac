#pragma once

#include <optional>
#include <vector>

#include "config/health.hpp"
#include "liveswap.hpp"
#include "master/app_listeners/app_listeners.hpp"
#include "rollout/types.hpp"

// The options in the words of those parts of the master that go by them.
namespace liveswap::master {

rollout::Settings engine_settings(const Options& options);

// The pace of an upgrade that asks for no other one.
rollout::Pace pace_of(const Options& options);

std::vector<config::HealthProbe> probes_of(const Options& options);

AppListeners::Rules app_listener_rules(const Options& options, const std::optional<Identity>& identity);

// The words of the worker host's command line for what is not its default.
std::vector<std::string> worker_words(const Options& options);

// Nothing for a negative value, which means no limit.
std::optional<rollout::Time> limit_of(Milliseconds value);

}  // namespace liveswap::master
