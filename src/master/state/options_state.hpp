#pragma once

#include <type_traits>

#include "liveswap.hpp"
#include "master/state/values.hpp"

// The options of a master as a plain value, without the callbacks.
namespace liveswap::master::state {

template <class Archive>
void describe(Archive& a, Listener& one) {
  a("name", one.name)("address", one.address);
}
template <class Archive>
void describe(Archive& a, Amount& one) {
  a("value", one.value)("percent", one.percent);
}
template <class Archive>
void describe(Archive& a, ResourceLimit& one) {
  a("name", one.name)("value", one.value);
}

template <class Archive>
void describe(Archive& a, Runtime& one) {
  a("run", one.run)("check", one.check);
}

template <class Archive>
void describe(Archive& a, Options& one) {
  a("target", one.target)("force_target", one.force_target)("port", one.port)("address", one.address);
  a("forks", one.forks)("head", one.head)("pre_upgrade", one.pre_upgrade);
  a("zero_downtime", one.zero_downtime)("listen", one.listen)("listen_mode", one.listen_mode);
  a("backlog", one.backlog)("arguments", one.arguments)("entry", one.entry)("intercept", one.intercept);
  // The default is left out, since an earlier version does not know this value.
  if constexpr (std::is_same_v<Archive, Writer>) {
    if (one.keepalive != Keepalive::automatic) a("keepalive", one.keepalive);
  } else a("keepalive", one.keepalive);
  a("keepalive_grace", one.keepalive_grace);
  a("kind", one.kind)("start_file", one.start_file)("runtime", one.runtime)("runtimes", one.runtimes);
  a("await_listener", one.await_listener)("privileged_ports", one.privileged_ports);
  a("batch", one.batch)("surge", one.surge)("max_draining", one.max_draining)("flip", one.flip);
  a("canary", one.canary)("bake", one.bake)("probation", one.probation)("max_memory", one.max_memory);
  a("health", one.health)("health_interval", one.health_interval)("health_limit", one.health_limit);
  a("liveness", one.liveness)("liveness_interval", one.liveness_interval);
  a("liveness_limit", one.liveness_limit)("liveness_failures", one.liveness_failures);
  a("keep_releases", one.keep_releases)("settle", one.settle)("ready_limit", one.ready_limit);
  a("listener_wait", one.listener_wait)("drain_limit", one.drain_limit)("term_grace", one.term_grace);
  a("orphan_wait", one.orphan_wait);
  a("pre_upgrade_limit", one.pre_upgrade_limit)("check_limit", one.check_limit);
  a("backoff_min", one.backoff_min)("backoff_max", one.backoff_max)("backoff_reset", one.backoff_reset);
  a("environment", one.environment)("working_directory", one.working_directory)("user", one.user);
  a("group", one.group)("limits", one.limits)("auth", one.auth)("state_dir", one.state_dir);
  a("runtime_dir", one.runtime_dir)("worker_host", one.worker_host)("log_file", one.log_file);
  a("handle_signals", one.handle_signals)("reap_children", one.reap_children)("service", one.service);
  a("command_line", one.command_line)("config_file", one.config_file);
}

template <>
inline constexpr ListenMode last_of<ListenMode> = ListenMode::shared;
template <>
inline constexpr Intercept last_of<Intercept> = Intercept::seccomp;
template <>
inline constexpr Keepalive last_of<Keepalive> = Keepalive::automatic;

}  // namespace liveswap::master::state
