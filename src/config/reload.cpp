#include "config/reload.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <map>
#include <set>

#include "config/quote.hpp"
#include "config/values.hpp"

namespace liveswap::config {
namespace {

std::string value_text(const std::string& text) { return text; }
std::string value_text(bool on) { return on ? "true" : "false"; }
std::string value_text(int number) { return std::to_string(number); }
std::string value_text(unsigned number) { return std::to_string(number); }
std::string value_text(std::uint16_t number) { return std::to_string(number); }
std::string value_text(ListenMode mode) { return mode == ListenMode::shared ? "shared" : "reuseport"; }
std::string value_text(Intercept how) { return how == Intercept::seccomp ? "seccomp" : "libc"; }

std::string value_text(Keepalive what) {
  switch (what) {
    case Keepalive::end: return "end";
    case Keepalive::migrate: return "migrate";
    case Keepalive::keep: return "keep";
    case Keepalive::http: return "http";
    case Keepalive::automatic: return "auto";
  }
  return "?";
}

std::string value_text(const Amount& amount) {
  return fmt::format("{}{}", amount.value, amount.percent ? "%" : "");
}

std::string value_text(Milliseconds time) {
  const auto ms = time.count();
  if (ms < 0) return "none";
  if (ms > 0 && ms % 60'000 == 0) return fmt::format("{}m", ms / 60'000);
  if (ms > 0 && ms % 1'000 == 0) return fmt::format("{}s", ms / 1'000);
  return fmt::format("{}ms", ms);
}

// Bytes, or the value of a limit.
std::string value_text(std::uint64_t number) {
  constexpr std::string_view units = "KMGT";
  if (number == unlimited) return "unlimited";
  std::string unit;
  for (std::size_t i = 0; i < units.size() && number > 0 && number % 1024 == 0; ++i, number /= 1024)
    unit = units[i];
  return std::to_string(number) + unit;
}

std::string value_text(const std::vector<Listener>& listeners) {
  std::vector<std::string> texts;
  for (const auto& [name, address] : listeners) texts.push_back(name + "=" + address);
  return fmt::format("{}", fmt::join(texts, ", "));
}

// Escaped, so that equal texts mean equal lists.
std::string value_text(const std::vector<std::string>& words) {
  std::string text;
  for (const auto& word : words) {
    text += text.empty() ? "\"" : " \"";
    for (const char c : word) text += c == '"' || c == '\\' ? std::string{'\\', c} : std::string{c};
    text += '"';
  }
  return text;
}

std::string value_text(const std::vector<ResourceLimit>& limits) {
  std::set<std::string> texts;
  for (const auto& [name, value] : limits) texts.insert(name + "=" + value_text(value));
  return fmt::format("{}", fmt::join(texts, ", "));
}

std::string value_text(const std::vector<std::uint16_t>& ports) {
  return fmt::format("{}", fmt::join(std::set<std::uint16_t>(ports.begin(), ports.end()), ", "));
}

std::string value_text(const std::map<std::string, std::string>& variables) {
  std::vector<std::string> words;
  for (const auto& [name, value] : variables) words.push_back(name + "=" + value);
  return value_text(words);
}

std::string value_text(const Runtime& runtime) {
  return value_text(runtime.run) + (runtime.check.empty() ? "" : " checked by " + value_text(runtime.check));
}

std::string value_text(const std::map<std::string, Runtime>& runtimes) {
  std::vector<std::string> texts;
  for (const auto& [ending, runtime] : runtimes) texts.push_back(ending + ": " + value_text(runtime));
  return fmt::format("{}", fmt::join(texts, ", "));
}

std::string memory_text(const Options& options) {
  return options.max_memory == 0 ? "none" : value_text(options.max_memory);
}

template <auto member>
constexpr ReloadRule rule(std::string_view key, Applies applies) {
  return {key, applies, [](const Options& options) { return value_text(options.*member); },
          [](Options& into, const Options& from) { into.*member = from.*member; }};
}

constexpr auto at_once = Applies::at_once, generation = Applies::generation, restart = Applies::restart;

constexpr ReloadRule max_memory_rule() {
  ReloadRule made = rule<&Options::max_memory>("max-memory", at_once);
  made.text = memory_text;
  return made;
}

std::string orphan_wait_text(const Options& options) {
  if (options.orphan_wait.count() == 0) return "none";
  return options.orphan_wait.count() < 0 ? "forever" : value_text(options.orphan_wait);
}

std::string batch_text(const Options& options) {
  return options.batch == 0 ? "auto" : std::to_string(options.batch);
}

constexpr ReloadRule batch_rule() {
  ReloadRule made = rule<&Options::batch>("batch", at_once);
  made.text = batch_text;
  return made;
}

constexpr ReloadRule orphan_wait_rule() {
  ReloadRule made = rule<&Options::orphan_wait>("orphan-wait", at_once);
  made.text = orphan_wait_text;
  return made;
}

constexpr std::array rules{
    rule<&Options::target>("target", at_once),
    rule<&Options::force_target>("force-target", at_once),
    rule<&Options::port>("port", restart),
    rule<&Options::address>("address", restart),
    rule<&Options::auth>("auth", restart),
    rule<&Options::state_dir>("state-dir", restart),
    rule<&Options::runtime_dir>("runtime-dir", restart),
    rule<&Options::head>("head", restart),
    rule<&Options::worker_host>("worker-host", restart),
    rule<&Options::listen>("listen", generation),
    rule<&Options::listen_mode>("listen-mode", generation),
    rule<&Options::backlog>("backlog", at_once),
    rule<&Options::log_file>("log-file", at_once),
    rule<&Options::forks>("forks", at_once),
    rule<&Options::pre_upgrade>("pre-upgrade", at_once),
    rule<&Options::zero_downtime>("zero-downtime", at_once),
    rule<&Options::await_listener>("await-listener", at_once),
    rule<&Options::privileged_ports>("privileged-ports", at_once),
    batch_rule(),
    rule<&Options::surge>("surge", at_once),
    rule<&Options::max_draining>("max-draining", at_once),
    rule<&Options::flip>("flip", at_once),
    rule<&Options::canary>("canary", at_once),
    rule<&Options::bake>("bake", at_once),
    rule<&Options::probation>("probation", at_once),
    max_memory_rule(),
    rule<&Options::health>("health", at_once),
    rule<&Options::health_interval>("health-interval", at_once),
    rule<&Options::health_limit>("health-limit", at_once),
    rule<&Options::liveness>("liveness", at_once),
    rule<&Options::liveness_interval>("liveness-interval", at_once),
    rule<&Options::liveness_limit>("liveness-limit", at_once),
    rule<&Options::liveness_failures>("liveness-failures", at_once),
    rule<&Options::keep_releases>("keep-releases", at_once),
    rule<&Options::settle>("settle", at_once),
    rule<&Options::ready_limit>("ready-limit", at_once),
    rule<&Options::listener_wait>("listener-wait", at_once),
    rule<&Options::drain_limit>("drain-limit", at_once),
    rule<&Options::term_grace>("term-grace", at_once),
    rule<&Options::pre_upgrade_limit>("pre-upgrade-limit", at_once),
    orphan_wait_rule(),
    rule<&Options::check_limit>("check-limit", at_once),
    rule<&Options::backoff_min>("backoff-min", at_once),
    rule<&Options::backoff_max>("backoff-max", at_once),
    rule<&Options::backoff_reset>("backoff-reset", at_once),
    rule<&Options::kind>("kind", generation),
    rule<&Options::start_file>("start-file", generation),
    rule<&Options::runtime>("runtime", generation),
    rule<&Options::runtimes>("runtimes", generation),
    rule<&Options::entry>("entry", generation),
    rule<&Options::intercept>("intercept", generation),
    rule<&Options::keepalive>("keepalive", generation),
    rule<&Options::keepalive_grace>("keepalive-grace", generation),
    rule<&Options::arguments>("arguments", generation),
    rule<&Options::environment>("environment", generation),
    rule<&Options::working_directory>("working-directory", generation),
    rule<&Options::user>("user", generation),
    rule<&Options::group>("group", generation),
    rule<&Options::limits>("limits", generation),
};

std::string shown_value(const std::string& text) {
  constexpr std::size_t longest = 80;
  if (text.empty()) return "none";
  return text.size() > longest ? in_quotes(text) : text;
}

// "MODE changed, DEBUG added, OLD removed".
std::string variables_text(const Options& old, const Options& fresh) {
  std::vector<std::string> texts;
  for (const auto& [name, value] : fresh.environment) {
    const auto before = old.environment.find(name);
    if (before == old.environment.end()) texts.push_back(name + " added");
    else if (before->second != value) texts.push_back(name + " changed");
  }
  for (const auto& [name, value] : old.environment)
    if (!fresh.environment.contains(name)) texts.push_back(name + " removed");
  return fmt::format("{}", fmt::join(texts, ", "));
}

// "api=127.0.0.1:81 added, web=127.0.0.1:80 removed"; empty: only the order has changed.
std::string listeners_text(const Options& old, const Options& fresh) {
  std::vector<std::string> texts;
  const auto find = [](const std::vector<Listener>& listeners, const std::string& name) {
    return std::find_if(listeners.begin(), listeners.end(),
                        [&](const Listener& one) { return one.name == name; });
  };
  for (const auto& [name, address] : fresh.listen) {
    const auto before = find(old.listen, name);
    if (before == old.listen.end()) texts.push_back(name + "=" + address + " added");
    else if (before->address != address) texts.push_back(name + "=" + before->address + " → " + address);
  }
  for (const auto& [name, address] : old.listen)
    if (find(fresh.listen, name) == fresh.listen.end()) texts.push_back(name + "=" + address + " removed");
  return fmt::format("{}", fmt::join(texts, ", "));
}

std::string change_text(const ReloadRule& rule, const Options& old, const Options& fresh) {
  if (rule.key == "environment") return variables_text(old, fresh);
  if (rule.key == "listen")
    if (auto text = listeners_text(old, fresh); !text.empty()) return text;
  const std::string text = fmt::format("{} → {}", shown_value(rule.text(old)), shown_value(rule.text(fresh)));
  return rule.key == "target" ? text + ": `liveswap upgrade` swaps the code" : text;
}

// The log can move from one file to another, but standard error is no file of the master's. How often to give
// heartbeats is told to a worker at its start.
Applies applies_of(const ReloadRule& rule, const Options& old, const Options& fresh) {
  const bool log_from_or_to_stderr =
      rule.key == "log-file" && (old.log_file.empty() || fresh.log_file.empty());
  if (log_from_or_to_stderr) return restart;
  const bool was_heartbeat = old.liveness == "heartbeat", is_heartbeat = fresh.liveness == "heartbeat";
  if (rule.key == "liveness" && (was_heartbeat || is_heartbeat)) return generation;
  if (rule.key == "liveness-interval" && is_heartbeat) return generation;
  return rule.applies;
}

}  // namespace

const char* word(Applies applies) {
  switch (applies) {
    case Applies::at_once: return "at once";
    case Applies::generation: return "new generation";
    case Applies::restart: return "restart";
  }
  return "?";
}

std::span<const ReloadRule> reload_rules() { return rules; }

bool ReloadPlan::has(Applies applies) const {
  return std::any_of(changes.begin(), changes.end(),
                     [&](const Change& one) { return one.applies == applies; });
}

std::string ReloadPlan::text(Applies applies) const {
  std::vector<std::string> texts;
  for (const auto& one : changes)
    if (one.applies == applies) texts.push_back(fmt::format("{} ({})", one.key, one.text));
  return fmt::format("{}", fmt::join(texts, ", "));
}

ReloadPlan plan_reload(const Options& old, const Options& fresh) {
  ReloadPlan plan;
  for (const auto& rule : rules)
    if (rule.text(old) != rule.text(fresh))
      plan.changes.push_back({rule.key, applies_of(rule, old, fresh), change_text(rule, old, fresh)});
  return plan;
}

void take_changes(const ReloadPlan& plan, const Options& fresh, Options& into) {
  for (const auto& change : plan.changes)
    for (const auto& rule : rules)
      if (rule.key == change.key) rule.take(into, fresh);
}

}  // namespace liveswap::config
