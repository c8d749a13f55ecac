#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "liveswap.hpp"
#include "master/receipts/failures.hpp"
#include "master/state/options_state.hpp"
#include "master/state/socket_state.hpp"
#include "master/state/worker_state.hpp"
#include "protocol/message.hpp"
#include "release/committed_releases.hpp"
#include "rollout/engine.hpp"
#include "rollout/fall_back.hpp"

namespace liveswap::master::state {

// A connection of the control protocol.
struct ClientState {
  Fd socket;
  bool local = true;
  std::string received;  // of the next line
  bool asked = false;    // waits for the answer to `reexec`
};

struct ControlState {
  std::string token;
  Fd local, tcp;  // the listening sockets
  Fd lock;        // of the path of `local`
  std::vector<ClientState> clients;
};

struct LastUpgradeState {
  rollout::Verdict verdict = rollout::Verdict::ok;
  std::string text;
  std::uint64_t receipt = 0;
  rollout::Time at{0};
};

// A request with an open receipt.
struct ReceiptState {
  rollout::RequestId request = 0;
  protocol::Verb verb = protocol::Verb::upgrade;
  std::string asked, by;
  rollout::Time since{0};
  std::string receipt;  // OpenReceipts::save()
};

// All that a master knows, as a plain value: what the next image of the program, or the next master if this
// one is killed, needs to go on where this one has stopped. Times are those of the monotonic clock, which
// goes on.
struct MasterState {
  // Written for a re-execution: no upgrade is under way, and the lock and the control sockets are handed
  // over. false: written for the next master, at any moment.
  bool at_rest = true;
  // The numbers of the descriptors that the document names, in its order. Those of a state that is not
  // `at_rest` are passed on in this order.
  std::vector<int> descriptors;

  // The program and its environment.
  std::string version;  // of the program that has written the state
  std::uint64_t executions = 0;
  rollout::Time started{0};                                  // the first image
  rollout::Time executed{0};                                 // when the state was written
  std::vector<int> ignored_from_terminal;                    // signals
  std::uint64_t descriptors_soft = 0, descriptors_hard = 0;  // RLIMIT_NOFILE of workers
  Fd log;                                                    // -1: standard error
  Options options;

  // Who the instance is for others.
  Fd lock;
  Fd keeper;  // the connection to liveswap-keeper
  ControlState control;
  ListenersState listeners;

  // What runs.
  rollout::Engine::Facts engine;
  std::vector<WorkerState> workers;
  std::vector<OutputState> left_outputs;
  std::vector<RemainingHolder> remaining;  // processes left behind that hold listeners
  AppListenersState app_listeners;
  unsigned steered = 0;

  // What is remembered.
  rollout::RequestId last_request = 0;
  std::int32_t last_query = 0;
  Failures failures;
  release::CommittedReleases committed;
  rollout::FallBack fall_back;
  std::optional<LastUpgradeState> last_upgrade;
  std::string record_trouble;
  std::vector<ReceiptState> receipts;
};

template <class Archive>
void describe(Archive& a, ClientState& one) {
  a("socket", one.socket)("local", one.local)("received", one.received)("asked", one.asked);
}
template <class Archive>
void describe(Archive& a, ControlState& one) {
  a("token", one.token)("local", one.local)("tcp", one.tcp)("lock", one.lock)("clients", one.clients);
}
template <class Archive>
void describe(Archive& a, LastUpgradeState& one) {
  a("verdict", one.verdict)("text", one.text)("receipt", one.receipt)("at", one.at);
}
template <class Archive>
void describe(Archive& a, rollout::Release& one) {
  a("path", one.path)("id", one.id);
}
template <class Archive>
void describe(Archive& a, release::Committed& one) {
  a("path", one.path)("id", one.id);
}
template <class Archive>
void describe(Archive& a, rollout::Engine::Worker& one) {
  a("id", one.id)("slot", one.slot)("generation", one.generation)("release", one.release);
  a("state", one.state)("staged", one.staged)("spawned", one.spawned)("entered", one.entered);
  a("was_ready", one.was_ready)("failed", one.failed)("deadline", one.deadline);
  a("drain_since", one.drain_since)("hurried", one.hurried)("why_forced", one.why_forced)("step", one.step);
  a("stopped_since", one.stopped_since)("answers_checks", one.liveness.has_answered);
  a("settle_at", one.settle_at)("proven_at", one.proven_at);
}
template <class Archive>
void describe(Archive& a, rollout::UnfinishedUpgrade& one) {
  a("request", one.request)("release", one.release)("generation", one.generation)("flip", one.flip);
}
template <class Archive>
void describe(Archive& a, rollout::DecidedUpgrade& one) {
  a("request", one.request)("verdict", one.verdict)("text", one.text)("workers", one.workers);
}
template <class Archive>
void describe(Archive& a, ReceiptState& one) {
  a("request", one.request)("verb", one.verb)("asked", one.asked)("by", one.by)("since", one.since);
  a("receipt", one.receipt);
}
template <class Archive>
void describe(Archive& a, rollout::Engine::Facts::Slot& one) {
  a("restarts", one.restarts)("deaths", one.deaths)("respawn_at", one.respawn_at);
  a("turn", one.turn);
}
template <class Archive>
void describe(Archive& a, rollout::Engine::Facts& one) {
  a("release", one.release)("generation", one.generation)("last_generation", one.last_generation);
  a("last_worker", one.last_worker)("forks", one.forks)("slots", one.slots)("workers", one.workers);
  a("unfinished", one.unfinished)("decided", one.decided);
}
template <class Archive>
void describe(Archive& a, Failures::Failure& one) {
  a("request", one.request)("reason", one.reason)("output", one.output)("slot", one.slot);
  a("generation", one.generation)("pid", one.pid)("at", one.at);
}
template <class Archive>
void describe(Archive& a, MasterState& one) {
  a("at_rest", one.at_rest)("keeper", one.keeper);
  a("version", one.version)("executions", one.executions)("started", one.started);
  a("executed", one.executed);
  a("ignored_from_terminal", one.ignored_from_terminal);
  a("descriptors_soft", one.descriptors_soft)("descriptors_hard", one.descriptors_hard)("log", one.log);
  a("options", one.options)("lock", one.lock)("control", one.control)("listeners", one.listeners);
  a("engine", one.engine)("workers", one.workers)("left_outputs", one.left_outputs);
  a("remaining", one.remaining);
  a("app_listeners", one.app_listeners)("steered", one.steered)("last_request", one.last_request);
  a("last_query", one.last_query)("failures", one.failures)("committed", one.committed);
  a("fall_back", one.fall_back)("last_upgrade", one.last_upgrade)("record_trouble", one.record_trouble);
  a("receipts", one.receipts);
  // At last, when all have been written.
  a("descriptors", one.descriptors);
}

template <>
inline constexpr protocol::Verb last_of<protocol::Verb> = protocol::Verb::reexec;
template <>
inline constexpr rollout::Verdict last_of<rollout::Verdict> = rollout::Verdict::cut;
template <>
inline constexpr rollout::WorkerState last_of<rollout::WorkerState> = rollout::WorkerState::draining;
template <>
inline constexpr rollout::DrainStep last_of<rollout::DrainStep> = rollout::DrainStep::killed;

}  // namespace liveswap::master::state
