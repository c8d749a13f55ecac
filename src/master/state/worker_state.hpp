#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "contract/channel.h"
#include "master/state/values.hpp"
#include "master/workers/left_behind.hpp"
#include "rollout/awaited.hpp"
#include "rollout/listener_lifetime.hpp"
#include "rollout/option_ledger.hpp"

// The workers as plain values.
namespace liveswap::master::state {

// The output of a process (workers/output.hpp).
struct OutputState {
  struct Stream {
    Fd reader;
    int place = -1;       // the destination: 1, 2 or the log
    std::string waiting;  // read, not passed on yet
    std::string tail;
  };
  std::vector<Stream> streams;
  std::string tail;
};

// A worker's process (workers/worker_pool.hpp).
struct WorkerState {
  rollout::WorkerId id = 0;
  pid_t pid = 0;
  Fd pidfd;
  Fd channel;
  OutputState output;
  unsigned channel_version = 0;
  unsigned slot = 0;
  rollout::Generation generation = 0;
  unsigned set = 0;  // of sockets
  int stage = LIVESWAP_STAGE_RUN;
  bool draining = false, retiring = false, forked = false, forced = false, outlived = false;
  std::optional<rollout::Time> killed;
  std::optional<std::uint64_t> open;
  std::uint64_t elsewhere = 0, cut = 0;  // of those, held by other processes: now, when a signal was sent
  std::uint64_t served = 0, failed = 0;
  std::uint64_t idle_ended = 0, idle_handed_off = 0;
  std::string failure;
  std::string cgroup;           // its own; empty: none
  Program program;              // that it executes
  bool counts_requests = true;  // a master that does not say it did not know
};

// The plain members of a worker that binds listeners (app_listeners/app_listeners.hpp).
struct AppWorkerFacts {
  rollout::AwaitedListeners::Place place;
  unsigned set = 0;
  pid_t pid = 0;
  bool entered = false;
  rollout::Time entered_at{0};  // the first judge()
  bool by_itself = false;       // the application reports readiness
  bool expects = false;         // has bound, or tried to bind, a listener
  bool progressed = true;       // since the last judge(), which then sets `since`
  rollout::Time since{0};
  bool ready = false;
  bool draining = false;
  bool waits_elsewhere = false;             // on a listener that the master does not hold
  std::map<std::string, unsigned> unnamed;  // address → number of binds with a port chosen by the kernel
  unsigned complaints = 0;
  std::uint64_t adopted = 0;
  std::uint64_t refused = 0;  // idle connections handed off in vain
};

// Endpoints are named by their place in ListenersState::endpoints.
struct AppWorkerState {
  rollout::WorkerId id = 0;
  AppWorkerFacts facts;
  unsigned lending = 0;  // what the worker is lent: the place in ListenersState::lendings
  std::vector<unsigned> waits, uses;
  std::vector<std::pair<unsigned, std::optional<rollout::Time>>> given_up;
  std::vector<std::pair<std::uint64_t, unsigned>> cookies;
  std::vector<std::pair<unsigned, std::string>> named;
};

struct AppUseState {
  unsigned endpoint = 0;
  rollout::ListenerLifetime lifetime;
  bool told = false;
};

struct AppListenersState {
  std::vector<AppWorkerState> workers;
  std::vector<AppUseState> uses;
  rollout::OptionLedger options;
  std::map<std::string, std::string> stuck_options;
  std::vector<std::uint64_t> former;
  rollout::AwaitedListeners awaited{{}};
};

template <class Archive>
void describe(Archive& a, OutputState::Stream& one) {
  a("reader", one.reader)("place", one.place)("waiting", one.waiting)("tail", one.tail);
}
template <class Archive>
void describe(Archive& a, OutputState& one) {
  a("streams", one.streams)("tail", one.tail);
}
template <class Archive>
void describe(Archive& a, LeftProcess& one) {
  a("pid", one.pid)("started", one.started)("program", one.program)("executed", one.executed);
  a("sockets", one.sockets);
}
template <class Archive>
void describe(Archive& a, Holder& one) {
  a("process", one.process)("listeners", one.listeners)("is_known", one.is_known)("must_end", one.must_end);
}
template <class Archive>
void describe(Archive& a, RemainingHolder& one) {
  a("holder", one.holder)("slot", one.slot)("generation", one.generation);
}
template <class Archive>
void describe(Archive& a, WorkerState& one) {
  a("id", one.id)("pid", one.pid)("pidfd", one.pidfd)("channel", one.channel)("output", one.output);
  a("channel_version", one.channel_version)("slot", one.slot)("generation", one.generation)("set", one.set);
  a("stage", one.stage)("draining", one.draining)("retiring", one.retiring)("forked", one.forked);
  a("forced", one.forced)("outlived", one.outlived)("killed", one.killed)("open", one.open);
  a("elsewhere", one.elsewhere)("cut", one.cut);
  a("served", one.served)("failed", one.failed)("idle_ended", one.idle_ended)("idle_handed_off",
                                                                              one.idle_handed_off);
  a("failure", one.failure)("cgroup", one.cgroup)("program", one.program);
  a("counts_requests", one.counts_requests);
}
template <class Archive>
void describe(Archive& a, rollout::AwaitedListeners::Place& one) {
  a("slot", one.slot)("generation", one.generation)("release", one.release);
}
template <class Archive>
void describe(Archive& a, AppWorkerFacts& one) {
  a("place", one.place)("set", one.set)("pid", one.pid)("entered", one.entered);
  a("entered_at", one.entered_at)("by_itself", one.by_itself)("expects", one.expects);
  a("progressed", one.progressed)("since", one.since)("ready", one.ready)("draining", one.draining);
  a("waits_elsewhere", one.waits_elsewhere)("unnamed", one.unnamed)("complaints", one.complaints);
  a("adopted", one.adopted)("refused", one.refused);
}
template <class Archive>
void describe(Archive& a, AppWorkerState& one) {
  a("id", one.id)("facts", one.facts)("lending", one.lending)("waits", one.waits)("uses", one.uses)(
      "given_up", one.given_up);
  a("cookies", one.cookies)("named", one.named);
}
template <class Archive>
void describe(Archive& a, AppUseState& one) {
  a("endpoint", one.endpoint)("lifetime", one.lifetime)("told", one.told);
}
template <class Archive>
void describe(Archive& a, AppListenersState& one) {
  a("workers", one.workers)("uses", one.uses)("options", one.options)("stuck_options", one.stuck_options);
  a("former", one.former)("awaited", one.awaited);
}

}  // namespace liveswap::master::state
