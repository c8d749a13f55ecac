#include "master/settings.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <uv.h>

#include <algorithm>
#include <string>

#include "launch/resolve.h"
#include "master/setup.hpp"

namespace liveswap::master {
namespace {

// How long a slot that will be removed goes on serving after new connections are steered to other slots. In
// this time the workers accept the connections that the kernel has assigned to the slot, and pending
// handshakes end.
constexpr rollout::Time steer_grace{1'000};

// Each step of a preparation has a limit of its own. The engine's limit is the sum plus this slack, in case a
// step exceeds its limit.
constexpr rollout::Time prepare_slack{5'000};

const char* word(Keepalive what) {
  switch (what) {
    case Keepalive::end:
    case Keepalive::automatic: break;
    case Keepalive::migrate: return "migrate";
    case Keepalive::keep: return "keep";
    case Keepalive::http: return "http";
  }
  return "end";
}

}  // namespace

std::optional<rollout::Time> limit_of(Milliseconds value) {
  return value.count() < 0 ? std::nullopt : std::optional<rollout::Time>(value);
}

rollout::Pace pace_of(const Options& options) {
  rollout::Pace pace;
  if (options.batch > 0) pace.batch = options.batch;
  pace.surge = options.surge;
  pace.canary = options.canary;
  pace.bake = options.bake;
  pace.probation = options.probation;
  pace.flip = options.flip;
  return pace;
}

rollout::Settings engine_settings(const Options& options) {
  rollout::Settings settings;
  static_cast<rollout::Pace&>(settings) = pace_of(options);
  settings.forks = options.forks;
  settings.processors = usable_cpus();
  settings.zero_downtime = options.zero_downtime;
  settings.health = !options.health.empty();
  settings.liveness_failures = options.liveness.empty() ? 0 : options.liveness_failures;
  settings.max_memory = options.max_memory;
  settings.max_draining = options.max_draining;
  settings.settle = options.settle;
  settings.ready_limit = options.ready_limit;
  settings.drain_limit = limit_of(options.drain_limit);
  settings.term_grace = options.term_grace;
  settings.prepare_limit = options.pre_upgrade_limit + 2 * options.check_limit + prepare_slack;
  settings.unsteer = options.listen_mode == ListenMode::reuseport ? steer_grace : rollout::Time{0};
  settings.backoff_min = options.backoff_min;
  settings.backoff_max = options.backoff_max;
  settings.backoff_reset = options.backoff_reset;
  settings.seed = static_cast<std::uint32_t>(uv_hrtime());
  return settings;
}

std::vector<config::HealthProbe> probes_of(const Options& options) {
  std::vector<config::HealthProbe> probes;
  for (const auto& text : options.health)
    if (auto probe = config::parse_health(text)) probes.push_back(std::move(*probe));
  return probes;
}

std::optional<WorkerCheck::Plan> liveness_plan(const Options& options, const spawn::Request& commands) {
  const auto check = config::parse_liveness(options.liveness);
  if (options.liveness.empty() || !check) return std::nullopt;
  return WorkerCheck::Plan{*check, options.liveness_interval, options.liveness_limit, commands};
}

AppListeners::Rules app_listener_rules(const Options& options, const std::optional<spawn::Identity>& identity,
                                       bool lends) {
  return {options.listen_mode == ListenMode::reuseport,
          options.backlog,
          options.intercept == Intercept::seccomp,
          identity,
          {options.privileged_ports.begin(), options.privileged_ports.end()},
          0,
          options.await_listener && (options.entry != Options().entry || !lends),
          {options.settle, std::min<Milliseconds>(options.listener_wait, options.ready_limit / 2)}};
}

std::vector<std::string> launch_words(const Options& options) {
  std::vector<std::string> words;
  const auto add = [&](const char* name, const std::string& value) {
    words.insert(words.end(), {name, value});
  };
  const auto add_runtime = [&](const std::string& ending, const Runtime& runtime) {
    const std::string separator(1, LAUNCH_SEPARATOR);
    if (!runtime.run.empty())
      add("--runtime", fmt::format("{}={}", ending, fmt::join(runtime.run, separator)));
    if (!runtime.check.empty())
      add("--runtime-check", fmt::format("{}={}", ending, fmt::join(runtime.check, separator)));
  };
  if (!options.kind.empty()) add("--kind", options.kind);
  if (!options.start_file.empty()) add("--start", options.start_file);
  add_runtime("", options.runtime);
  for (const auto& [ending, runtime] : options.runtimes) add_runtime(ending, runtime);
  return words;
}

std::vector<std::string> worker_words(const Options& options) {
  const Options standard;
  std::vector<std::string> words = launch_words(options);
  const auto add = [&](const char* name, const std::string& value) {
    words.insert(words.end(), {name, value});
  };
  if (options.entry != standard.entry) add("--entry", options.entry);
  if (options.intercept == Intercept::seccomp) add("--intercept", "seccomp");
  if (options.keepalive != Keepalive::automatic) add("--keepalive", word(options.keepalive));
  if (options.keepalive_grace != standard.keepalive_grace)
    add("--keepalive-grace", std::to_string(options.keepalive_grace.count()));
  if (!options.await_listener) add("--await", "nothing");
  if (options.liveness == "heartbeat") add("--heartbeat", std::to_string(options.liveness_interval.count()));
  return words;
}

}  // namespace liveswap::master
