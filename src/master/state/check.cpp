#include "master/state/check.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "config/validate.hpp"
#include "config/values.hpp"

namespace liveswap::master::state {
namespace {

// Sets of sockets: at most as many as living generations.
constexpr unsigned most_sets = 10'000;

tl::unexpected<Error> wrong(const std::string& what) { return fail("the state is wrong: " + what); }

Result<void> check_engine(const MasterState& state) {
  const auto& engine = state.engine;
  if (engine.forks < 1 || engine.forks > config::forks_limit) return wrong("impossible forks");
  if (engine.slots.size() < engine.forks || engine.slots.size() > 2 * config::forks_limit)
    return wrong("impossible slots");
  if (engine.generation == 0 || engine.release.id.empty()) return wrong("no release is committed");
  rollout::WorkerId last = 0;
  for (const auto& worker : engine.workers) {
    if (worker.id <= last) return wrong("the workers are not in order");
    last = worker.id;
    if (worker.slot >= engine.slots.size()) return wrong("a worker in a slot that does not exist");
    if (state.at_rest && worker.state == rollout::WorkerState::starting) return wrong("a worker is starting");
    if (worker.generation > engine.last_generation) return wrong("a worker of a generation to come");
  }
  const bool is_to_come = engine.unfinished && engine.unfinished->generation > engine.last_generation;
  if (last > engine.last_worker || engine.generation > engine.last_generation || is_to_come)
    return wrong("numbers that are still to come");
  if (state.at_rest && (engine.unfinished || !engine.decided.empty()))
    return wrong("an upgrade is under way");
  return {};
}

// The numbers in the group, and only these, are descriptors of the endpoint.
Result<void> check_group(const EndpointState& endpoint, const std::set<int>& own) {
  struct Numbers {
    std::vector<int> sockets, dealt_to;
    std::vector<unsigned> program;
    Numbers& operator()(const char* name, std::vector<int>& values) {
      (std::string_view(name) == "sockets" ? sockets : dealt_to) = values;
      return *this;
    }
    Numbers& operator()(const char*, std::vector<unsigned>& values) {
      program = values;
      return *this;
    }
  } numbers;
  ReuseportGroup group = endpoint.group;
  group.describe(numbers);
  std::set<int> members;
  for (const int fd : numbers.sockets)
    if (!own.contains(fd) || !members.insert(fd).second) return wrong("a socket in a foreign group");
  for (const int fd : numbers.dealt_to)
    if (!members.contains(fd)) return wrong("connections dealt to a socket outside of the group");
  for (const unsigned number : numbers.program)
    if (number >= members.size() && number != ReuseportGroup::no_number)
      return wrong("connections dealt to a number outside of the group");
  for (const auto& set : endpoint.sets)
    for (const auto& one : set)
      if (one.member && !members.contains(one.fd.number)) return wrong("a member outside of its group");
  return {};
}

Result<void> check_endpoint(const EndpointState& endpoint, bool is_lent, unsigned sets) {
  using Kind = EndpointState::Kind;
  const bool is_app = endpoint.kind == Kind::app_inet || endpoint.kind == Kind::app_unix;
  if (is_app && is_lent) return wrong("a lent listener of an application");
  if (endpoint.set >= sets || endpoint.sets.size() > sets) return wrong("a set that does not exist");
  std::set<int> own;
  for (const auto& set : endpoint.sets) {
    for (const auto& one : set)
      if (one.fd.number >= 0) own.insert(one.fd.number);
      else if (endpoint.kind == Kind::tcp || endpoint.kind == Kind::passed)
        return wrong("a slot without a socket");
    if (endpoint.kind != Kind::app_inet && endpoint.kind != Kind::tcp && set.size() != 1)
      return wrong("a Unix listener with several sockets");
  }
  const bool has_one_set = endpoint.kind == Kind::app_unix || endpoint.kind == Kind::passed;
  if (has_one_set && endpoint.sets.size() != 1) return wrong("a socket in several sets");
  if (endpoint.kind == Kind::unix_path && endpoint.set >= endpoint.sets.size())
    return wrong("a Unix listener without a socket");
  if (endpoint.set_beside && *endpoint.set_beside >= sets) return wrong("a set that does not exist");
  for (const auto* more : {&endpoint.spoilt, &endpoint.spare})
    for (const Fd& one : *more) own.insert(one.number);
  const bool is_inet = endpoint.kind == Kind::tcp || endpoint.kind == Kind::app_inet;
  if (is_inet && endpoint.where.where.length == 0) return wrong("a listener without an address");
  return is_inet ? check_group(endpoint, own) : Result<void>();
}

// An earlier version has written none.
std::size_t lendings_of(const ListenersState& listeners) {
  return std::max<std::size_t>(1, listeners.lendings.size());
}

Result<void> check_lendings(const ListenersState& listeners) {
  using Kind = EndpointState::Kind;
  if (listeners.former >= lendings_of(listeners)) return wrong("a configuration that does not exist");
  for (const auto& lending : listeners.lendings) {
    std::set<unsigned> own;
    if (lending.size() > config::listeners_limit) return wrong("too many lent listeners");
    for (const auto& one : lending) {
      if (one.endpoint >= listeners.endpoints.size() || !own.insert(one.endpoint).second)
        return wrong("a lent listener that does not exist");
      const auto kind = listeners.endpoints[one.endpoint].kind;
      if (kind == Kind::app_inet || kind == Kind::app_unix) return wrong("a lent listener of an application");
    }
  }
  if (listeners.lendings.empty()) return {};
  const auto& present = listeners.lendings.front();
  bool fits = present.size() == listeners.lent;
  for (std::size_t i = 0; fits && i < present.size(); ++i) fits = present[i].endpoint == i;
  return fits ? Result<void>() : wrong("the present configuration lends other listeners");
}

Result<void> check_flip(const ListenersState& listeners) {
  if (!listeners.staged) return {};
  if (*listeners.staged >= listeners.sets || *listeners.staged == listeners.live)
    return wrong("a flip to a set that does not exist");
  for (std::size_t i = 0; i < listeners.lent; ++i) {
    const auto& one = listeners.endpoints[i];
    const bool has_sets = one.kind == EndpointState::Kind::tcp || one.kind == EndpointState::Kind::unix_path;
    const bool has_this = *listeners.staged < one.sets.size() && !one.sets[*listeners.staged].empty() &&
                          one.sets[*listeners.staged].front().fd.number >= 0;
    if (!has_sets || !has_this) return wrong("a flip to a set without sockets");
  }
  return {};
}

Result<void> check_listeners(const MasterState& state) {
  const auto& listeners = state.listeners;
  if (listeners.sets < 1 || listeners.sets > most_sets || listeners.live >= listeners.sets)
    return wrong("impossible sets of sockets");
  if (listeners.lent > listeners.endpoints.size()) return wrong("more lent listeners than listeners");
  if (listeners.slots > 2 * config::forks_limit || listeners.steered > listeners.slots)
    return wrong("impossible slots of listeners");
  for (std::size_t i = 0; i < listeners.endpoints.size(); ++i) {
    const auto& one = listeners.endpoints[i];
    if (auto fits = check_endpoint(one, i < listeners.lent, listeners.sets); !fits) return fits;
    const bool is_served = one.kind != EndpointState::Kind::tcp || one.door == Endpoint::Door::abandoned ||
                           (listeners.live < one.sets.size() && !one.sets[listeners.live].empty());
    if (!is_served) return wrong("a listener without a live socket");
  }
  if (auto fits = check_flip(listeners); !fits) return fits;
  return check_lendings(listeners);
}

Result<void> check_workers(const MasterState& state) {
  std::set<rollout::WorkerId> known;
  for (const auto& worker : state.engine.workers) known.insert(worker.id);
  std::set<rollout::WorkerId> running;
  for (const auto& worker : state.workers) {
    if (!known.contains(worker.id) || !running.insert(worker.id).second)
      return wrong("a process of an unknown worker");
    if (worker.pid <= 1 || worker.pidfd.number < 0 || worker.channel.number < 0)
      return wrong("a worker without a process or a channel");
    if (worker.channel_version > LIVESWAP_CHANNEL_VERSION)
      return fail(fmt::format("the worker host of slot {} speaks version {} of the channel, this program {}",
                              worker.slot, worker.channel_version, LIVESWAP_CHANNEL_VERSION));
    if (worker.set >= state.listeners.sets) return wrong("a worker with a set that does not exist");
    if (worker.slot >= state.engine.slots.size()) return wrong("a process in a slot that does not exist");
    if (worker.stage < LIVESWAP_STAGE_SPAWN || worker.stage > LIVESWAP_STAGE_RUN)
      return wrong("a worker in an unknown stage");
  }
  // A worker may be spawned when its release has been examined.
  if (state.at_rest && running != known) return wrong("a worker without a process");
  return {};
}

Result<void> check_outputs(const MasterState& state) {
  const auto fits = [&](const OutputState& output) {
    return output.streams.size() <= 2 &&
           std::all_of(output.streams.begin(), output.streams.end(), [&](const OutputState::Stream& one) {
             return one.place == 1 || one.place == 2 || (one.place >= 0 && one.place == state.log.number);
           });
  };
  for (const auto& worker : state.workers)
    if (!fits(worker.output)) return wrong("output to an unknown place");
  if (!std::all_of(state.left_outputs.begin(), state.left_outputs.end(), fits))
    return wrong("output to an unknown place");
  return {};
}

Result<void> check_app_listeners(const MasterState& state) {
  const auto& app = state.app_listeners;
  const std::size_t endpoints = state.listeners.endpoints.size();
  const auto is_endpoint = [&](unsigned number) { return number < endpoints; };
  std::set<rollout::WorkerId> workers, running;
  for (const auto& worker : state.workers) running.insert(worker.id);
  for (const auto& one : app.workers) {
    bool fits = workers.insert(one.id).second && one.facts.set < state.listeners.sets &&
                one.lending < lendings_of(state.listeners) &&
                std::all_of(one.waits.begin(), one.waits.end(), is_endpoint) &&
                std::all_of(one.uses.begin(), one.uses.end(), is_endpoint);
    for (const auto& [number, since] : one.given_up) fits = fits && is_endpoint(number);
    for (const auto& [cookie, number] : one.cookies) fits = fits && is_endpoint(number);
    for (const auto& [number, path] : one.named) fits = fits && is_endpoint(number);
    if (!fits) return wrong("a worker with a listener that does not exist");
  }
  if (workers != running) return wrong("a worker without its listeners");
  for (const auto& use : app.uses)
    if (!is_endpoint(use.endpoint) || use.endpoint < state.listeners.lent)
      return wrong("the use of a listener that does not exist");
  return {};
}

Result<void> check_rest(const MasterState& state) {
  const auto& control = state.control;
  if (state.at_rest && (state.lock.number < 0 || control.local.number < 0 || control.tcp.number < 0 ||
                        control.lock.number < 0))
    return wrong("no lock, or no control socket");
  if (state.at_rest && state.options.command_line.empty()) return wrong("no command line");
  if (auto valid = config::validate(state.options); !valid) return tl::unexpected<Error>(valid.error());
  if (state.steered > 2 * config::forks_limit) return wrong("impossible slots of listeners");
  if (state.last_query < 0) return wrong("an impossible number of a query");
  return {};
}

}  // namespace

Result<void> check(const MasterState& state) {
  for (const auto part :
       {check_rest, check_engine, check_listeners, check_workers, check_outputs, check_app_listeners})
    if (auto fits = part(state); !fits) return fits;
  return {};
}

}  // namespace liveswap::master::state
