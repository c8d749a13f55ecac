#include "config/validate.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>
#include <string_view>

#include "config/address.hpp"
#include "config/health.hpp"
#include "config/limits.hpp"
#include "config/nearest.hpp"
#include "config/quote.hpp"
#include "config/runtimes.hpp"
#include "config/values.hpp"

namespace liveswap::config {
namespace {

std::string text_of(const Amount& amount) {
  return fmt::format("{}{}", amount.value, amount.percent ? "%" : "");
}

class Problems {
 public:
  void add(std::string_view option, std::string_view text) {
    lines_.push_back(fmt::format("{}: {}", option, text));
  }

  template <class T>
  void range(std::string_view option, T found, T lowest, T highest) {
    if (found < lowest || found > highest)
      add(option, fmt::format("found {}, expected a number from {} to {}", found, lowest, highest));
  }

  void amount(std::string_view option, const Amount& found) {
    if (found.value > (found.percent ? percent_limit : forks_limit))
      add(option,
          fmt::format("found {}, expected at most {} or {}%", text_of(found), forks_limit, percent_limit));
  }

  void duration(std::string_view option, Milliseconds found, Milliseconds lowest) {
    if (found < lowest || found > longest_duration)
      add(option, fmt::format("found {}ms, expected {}ms to {}ms", found.count(), lowest.count(),
                              longest_duration.count()));
  }

  // System calls end paths and words at a NUL.
  void text(std::string_view option, const std::string& found) {
    if (found.find('\0') != std::string::npos)
      add(option, fmt::format("found a NUL byte in {}, expected a text without", in_quotes(found)));
  }

  const std::vector<std::string>& lines() const { return lines_; }

 private:
  std::vector<std::string> lines_;
};

// More canaries than slots would upgrade all slots at once, without a canary.
void check_canary(Problems& problems, const Options& options) {
  const auto [value, percent] = options.canary;
  if (percent && value > 100) problems.add("canary", fmt::format("found {}%, expected at most 100%", value));
  else if (!percent && value > forks_limit)
    problems.add("canary", fmt::format("found {}, expected at most {} or 100%", value, forks_limit));
  else if (!percent && options.forks > 0 && value > options.forks)
    problems.add("canary",
                 fmt::format("found {}, expected at most {}, the number of forks{}", value, options.forks,
                             value <= 100 ? fmt::format("; was {}% meant?", value) : ""));
}

// Each upgrade leaves up to `forks` draining workers.
void check_max_draining(Problems& problems, const Options& options) {
  problems.amount("max-draining", options.max_draining);
  const auto [value, percent] = options.max_draining;
  if (percent ? value < 100 : value < std::max(options.forks, 1U))
    problems.add(
        "max-draining",
        fmt::format(
            "found {}, expected 100% or more: one upgrade leaves as many workers that drain as there are "
            "forks",
            text_of(options.max_draining)));
}

void check_numbers(Problems& problems, const Options& options) {
  problems.range("port", unsigned{options.port}, 1U, 65535U);
  problems.range("forks", options.forks, 0U, forks_limit);
  problems.range("backlog", options.backlog, 1, std::numeric_limits<int>::max());
  problems.range("batch", options.batch, 0U, forks_limit);
  problems.range("keep-releases", options.keep_releases, 1U, releases_limit);
  problems.amount("surge", options.surge);
  check_canary(problems, options);
  check_max_draining(problems, options);
  if (options.max_memory > 0 && options.max_memory < smallest_memory)
    problems.add("max-memory", fmt::format("found {} bytes, expected at least {}, or 0 for no limit",
                                           options.max_memory, smallest_memory));
}

// A flip needs all successors before the first one serves.
void check_flip(Problems& problems, const Options& options) {
  if (!options.flip) return;
  if (!options.zero_downtime)
    problems.add(
        "flip", "found true with zero-downtime false, expected one of the two: the other kills and respawns");
  if (options.canary.value > 0)
    problems.add("flip",
                 fmt::format("found true with canary {}, expected one of the two: a canary serves beside the "
                             "old code",
                             text_of(options.canary)));
  const auto [value, percent] = options.surge;
  if (percent ? value < 100 : value < options.forks)
    problems.add(
        "flip",
        fmt::format("found true with surge {}, expected 100% or more: all successors are ready before "
                    "the first old worker leaves",
                    text_of(options.surge)));
}

void check_health(Problems& problems, const Options& options) {
  if (options.health.size() > probes_limit)
    problems.add("health",
                 fmt::format("found {} probes, expected at most {}", options.health.size(), probes_limit));
  std::vector<std::string> names;
  for (const auto& listener : options.listen) names.push_back(listener.name);
  for (const auto& probe : options.health) {
    problems.text("health", probe);
    if (probe.find('\0') != std::string::npos) continue;  // already reported
    const auto parsed = parse_health(probe);
    const auto matched = parsed ? match_health(*parsed, names) : tl::unexpected<Error>(parsed.error());
    if (!matched) problems.add("health", matched.error().text);
  }
}

void check_liveness(Problems& problems, const Options& options) {
  problems.range("liveness-failures", options.liveness_failures, 1U, liveness_failures_limit);
  if (options.liveness.empty()) return;
  problems.text("liveness", options.liveness);
  if (options.liveness.find('\0') != std::string::npos) return;  // already reported
  std::vector<std::string> names;
  for (const auto& listener : options.listen) names.push_back(listener.name);
  const auto parsed = parse_liveness(options.liveness);
  if (!parsed) return problems.add("liveness", parsed.error().text);
  if (parsed->heartbeat) return;
  if (const auto matched = match_health(parsed->probe, names); !matched)
    problems.add("liveness", matched.error().text);
}

void check_durations(Problems& problems, const Options& options) {
  constexpr Milliseconds none{0};
  constexpr Milliseconds some{1};
  problems.duration("settle", options.settle, none);
  problems.duration("ready-limit", options.ready_limit, some);
  problems.duration("listener-wait", options.listener_wait, none);
  // negative: no limit
  problems.duration("drain-limit", std::max(options.drain_limit, none), none);
  problems.duration("term-grace", options.term_grace, none);
  // negative: forever
  problems.duration("orphan-wait", std::max(options.orphan_wait, none), none);
  problems.duration("pre-upgrade-limit", options.pre_upgrade_limit, some);
  problems.duration("check-limit", options.check_limit, some);
  problems.duration("bake", options.bake, none);
  problems.duration("probation", options.probation, none);
  problems.duration("health-interval", options.health_interval, some);
  problems.duration("health-limit", options.health_limit, some);
  problems.duration("liveness-interval", options.liveness_interval, some);
  problems.duration("liveness-limit", options.liveness_limit, some);
  problems.duration("backoff-min", options.backoff_min, some);
  problems.duration("backoff-max", options.backoff_max, some);
  problems.duration("backoff-reset", options.backoff_reset, none);
  if (options.settle >= options.ready_limit)
    problems.add("settle",
                 fmt::format("found {}ms, expected less than ready-limit, {}ms: no worker would get ready",
                             options.settle.count(), options.ready_limit.count()));
  if (options.backoff_min > options.backoff_max)
    problems.add("backoff-min", fmt::format("found {}ms, expected at most backoff-max, {}ms",
                                            options.backoff_min.count(), options.backoff_max.count()));
}

void check_texts(Problems& problems, const Options& options) {
  if (options.force_target && options.target.empty())
    problems.add("force-target", "found no target, expected the path of the library to begin with");
  problems.text("target", options.target);
  problems.text("head", options.head);
  problems.text("pre-upgrade", options.pre_upgrade);
  problems.text("working-directory", options.working_directory);
  problems.text("user", options.user);
  problems.text("group", options.group);
  problems.text("state-dir", options.state_dir);
  problems.text("runtime-dir", options.runtime_dir);
  problems.text("worker-host", options.worker_host);
  problems.text("log-file", options.log_file);
  for (const auto& argument : options.arguments) problems.text("arguments", argument);
  if (options.pre_upgrade.ends_with('/'))
    problems.add("pre-upgrade",
                 fmt::format("found {}, expected the path of a plugin", in_quotes(options.pre_upgrade)));
}

void check_listeners(Problems& problems, Options& options) {
  if (options.listen.size() > listeners_limit)
    problems.add("listen", fmt::format("found {} listeners, expected at most {}", options.listen.size(),
                                       listeners_limit));
  std::set<std::string_view> names;
  for (std::size_t i = 0; i < options.listen.size(); ++i) {
    auto& [name, address] = options.listen[i];
    if (name.empty()) name = std::to_string(i);
    if (!is_listener_name(name))
      problems.add("listen",
                   fmt::format("found the name {}, expected {}", in_quotes(name), listener_name_rule));
    else if (!names.insert(name).second)
      problems.add("listen",
                   fmt::format("found two listeners named {}, expected different names (one without a name "
                               "bears its number, from 0)",
                               in_quotes(name)));
    if (const auto parsed = parse_address(address); !parsed) problems.add("listen", parsed.error().text);
  }
}

void check_control(Problems& problems, const Options& options, uid_t user) {
  if (const auto parsed = parse_control_address(options.address); !parsed)
    problems.add("address", parsed.error().text);
  if (options.auth) return;
  if (!is_loopback(options.address))
    problems.add("auth",
                 fmt::format("found false with the address {}, expected 127.0.0.1 or ::1: every process that "
                             "can connect could run code",
                             in_quotes(options.address)));
  if (user == 0)
    problems.add(
        "auth",
        "found false as root, expected another user: every user of this machine could run code as root");
}

void check_takeover(Problems& problems, const Options& options) {
  if (!is_entry_name(options.entry))
    problems.add("entry", fmt::format("found {}, expected {}", in_quotes(options.entry), entry_rule));
  problems.duration("keepalive-grace", options.keepalive_grace, Milliseconds{0});
  const bool hands_off = options.keepalive == Keepalive::migrate || options.keepalive == Keepalive::http;
  if (hands_off && options.intercept == Intercept::seccomp)
    problems.add("keepalive",
                 fmt::format("found {} with the intercept seccomp, expected end or keep: a program that "
                             "accepts by raw system calls cannot take connections over",
                             options.keepalive == Keepalive::http ? "http" : "migrate"));
  for (const auto port : options.privileged_ports)
    problems.range("privileged-ports", unsigned{port}, 1U, unsigned{highest_privileged_port});
}

void check_launch(Problems& problems, const Options& options) {
  for (const auto& [option, text] : problems_of_launch(options)) problems.add(option, text);
}

void check_environment(Problems& problems, const Options& options) {
  for (const auto& [name, text] : options.environment) {
    if (!is_variable_name(name))
      problems.add("environment",
                   fmt::format("found the name {}, expected {}", in_quotes(name), variable_name_rule));
    problems.text("environment", text);
  }
}

void check_limits(Problems& problems, const Options& options) {
  std::set<std::string_view> seen;
  for (const auto& limit : options.limits) {
    if (!resource_of(limit.name))
      problems.add("limits", fmt::format("unknown limit {}{}", in_quotes(limit.name),
                                         suggestion(limit.name, limit_names)));
    else if (!seen.insert(limit.name).second)
      problems.add("limits", fmt::format("found {} twice, expected it once", limit.name));
  }
}

void check_user(Problems& problems, const Options& options, uid_t user) {
  if (user == 0) return;
  if (!options.user.empty())
    problems.add("user", fmt::format("found {}, expected none: only root can change the user",
                                     in_quotes(options.user)));
  if (!options.group.empty())
    problems.add("group", fmt::format("found {}, expected none: only root can change the group",
                                      in_quotes(options.group)));
}

}  // namespace

Result<Options> validate(Options options, uid_t user) {
  Problems problems;
  check_numbers(problems, options);
  check_durations(problems, options);
  check_flip(problems, options);
  check_texts(problems, options);
  check_listeners(problems, options);
  check_health(problems, options);
  check_liveness(problems, options);
  check_control(problems, options, user);
  check_takeover(problems, options);
  check_launch(problems, options);
  check_environment(problems, options);
  check_limits(problems, options);
  check_user(problems, options, user);
  if (!problems.lines().empty()) return fail(fmt::format("{}", fmt::join(problems.lines(), "\n")));
  return options;
}

}  // namespace liveswap::config
