#include "master/workers/worker_pool.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <signal.h>
#include <sys/wait.h>

#include <algorithm>
#include <utility>

#include "base/log.hpp"
#include "base/text.hpp"
#include "master/state/worker_state.hpp"
#include "master/uv/reaper.hpp"
#include "release/store.hpp"
#include "spawn/worker_host.hpp"

namespace liveswap::master {
namespace {

using rollout::Departure;
using rollout::WorkerId;

// The master goes on reading the output of left processes, so that they do not block in write(): at most this
// many outputs, the newest.
constexpr std::size_t left_limit = 16;

std::string milliseconds_or_none(const std::optional<rollout::Time>& time) {
  return std::to_string(time ? time->count() : -1);
}

}  // namespace

WorkerPool::WorkerPool(uv_loop_t& loop, Template base, const Listeners& listeners,
                       AppListeners& app_listeners, Handlers handlers)
    : loop_(loop),
      base_(std::move(base)),
      listeners_(listeners),
      app_listeners_(app_listeners),
      handlers_(std::move(handlers)) {}

rollout::Profile WorkerPool::add_profile(Profile profile, rollout::Profile committed) {
  keep_profile(committed);
  if (committed == 0)
    profiles_.emplace(0,
                      Profile{base_.request, base_.application_arguments, base_.more, listeners_.former()});
  profiles_.emplace(++last_profile_, std::move(profile));
  return last_profile_;
}

void WorkerPool::keep_profile(rollout::Profile committed) {
  std::erase_if(profiles_, [&](const auto& one) { return one.first != committed; });
}

void WorkerPool::set_limits(std::optional<rollout::Time> drain_limit, rollout::Time term_grace) {
  base_.drain_limit = drain_limit;
  base_.term_grace = term_grace;
}

WorkerPool::Profile WorkerPool::profile_of(const rollout::Spawn& order) const {
  const auto found = profiles_.find(order.profile);
  if (found != profiles_.end()) return found->second;
  return {base_.request, base_.application_arguments, base_.more, listeners_.former()};
}

spawn::Request WorkerPool::request_for(const rollout::Spawn& order, const Profile& profile) const {
  spawn::Request request = profile.request;
  std::vector<std::string> words{"--slot",        std::to_string(order.slot),
                                 "--generation",  std::to_string(order.generation),
                                 "--drain-limit", milliseconds_or_none(base_.drain_limit),
                                 "--term-grace",  std::to_string(base_.term_grace.count()),
                                 "--listeners",   Listeners::names(profile.lending)};
  words.insert(words.end(), profile.more.begin(), profile.more.end());
  // argv[0], if the release is a program. Words are one a line.
  if (order.release.path.find('\n') == std::string::npos)
    words.insert(words.end(), {"--as", order.release.path});
  // At the front: the worker host reads the first variable of this name, and the configured environment may
  // contain another.
  request.environment.insert(request.environment.begin(),
                             fmt::format(LIVESWAP_WORKER_VARIABLE "={}", fmt::join(words, "\n")));
  request.arguments = {base_.file_of(order.release)};
  spawn::add_library_path(request.environment, release::Store::needed(request.arguments.front()));
  request.arguments.insert(request.arguments.end(), profile.application_arguments.begin(),
                           profile.application_arguments.end());
  request.descriptors.resize(LIVESWAP_FD_LISTENERS, -1);
  request.descriptors[LIVESWAP_FD_OUTPUT] = request.descriptors[1];
  request.descriptors[LIVESWAP_FD_ERROR] = request.descriptors[2];
  for (const int fd : listeners_.of_slot(profile.lending, order.slot, order.staged))
    request.descriptors.push_back(fd);
  return request;
}

WorkerProcess::Handlers WorkerPool::handlers_of(WorkerId id) {
  return {[this, id](Frame& frame) { on_frame(id, frame); },
          [this, id](const Ending& ending) { on_ended(id, ending); }, [this, id] { return is_outlived(id); }};
}

void WorkerPool::spawn(const rollout::Spawn& order) {
  const WorkerId id = order.worker;
  const UniqueFd life = base_.life();
  const Profile profile = profile_of(order);
  auto request = request_for(order, profile);
  request.descriptors[LIVESWAP_FD_LIFE] = life.get();
  const auto cgroup = request.cgroup = base_.cgroups.make();
  auto process = base_.start(loop_, std::move(request), handlers_of(id));
  if (!process) {
    base_.cgroups.remove(cgroup);
    handlers_.exited(id, Departure{stage_word(LIVESWAP_STAGE_SPAWN), process.error().text, false});
    return;
  }
  Entry& entry = entries_[id];
  entry.process = std::move(*process);
  entry.pid = entry.process->pid();
  entry.slot = order.slot;
  entry.generation = order.generation;
  entry.traces.program = program_of(entry.pid);
  entry.traces.cgroup = cgroup;
  entry.sockets = listeners_.hold(order.staged);
  entry.lending = profile.lending;
  app_listeners_.joined(id, {order.slot, order.generation, order.release.id}, entry.pid,
                        {entry.sockets, entry.lending});
}

void WorkerPool::drain(WorkerId id, std::optional<rollout::Time> limit, bool succeeded) {
  const auto it = entries_.find(id);
  if (it == entries_.end()) return;
  it->second.draining = true;
  it->second.traces.places = listeners_.places();
  Extras extras;
  extras.count = succeeded ? LIVESWAP_DRAIN_SUCCEEDED : 0;
  it->second.process->send(LIVESWAP_DRAIN, limit ? static_cast<std::int32_t>(limit->count()) : -1, extras);
}

bool WorkerPool::tell(WorkerId id, std::uint32_t kind, std::int32_t value, const Extras& extras) {
  const auto it = entries_.find(id);
  if (it == entries_.end()) return false;
  if (kind == LIVESWAP_ADOPT) return it->second.process->send_bounded(kind, value, extras);
  it->second.process->send(kind, value, extras);
  return true;
}

void WorkerPool::revoke(WorkerId id) {
  const auto it = entries_.find(id);
  if (it == entries_.end()) return;
  it->second.forced = true;
  it->second.process->send(LIVESWAP_REVOKE, 0);
}

void WorkerPool::signal(WorkerId id, bool kill) {
  const auto it = entries_.find(id);
  if (it == entries_.end()) return;
  it->second.draining = true;
  it->second.forced = true;
  it->second.cut = std::max(it->second.cut, it->second.elsewhere);
  if (kill && !it->second.killed) it->second.killed = Milliseconds(uv_now(&loop_));
  it->second.process->signal(kill ? SIGKILL : SIGTERM);
  if (it->second.outlived) left_behind_.signal(it->second.pid, it->second.traces, kill ? SIGKILL : SIGTERM);
}

bool WorkerPool::send_message(WorkerId id, std::int32_t question, const std::string& text) {
  const auto it = entries_.find(id);
  return it != entries_.end() && it->second.process->offer(LIVESWAP_MESSAGE, question, text);
}

void WorkerPool::count_connections(WorkerId id, std::int32_t question) {
  const auto it = entries_.find(id);
  if (it == entries_.end()) return;
  if (it->second.outlived) handlers_.answered(id, question, it->second.open.value_or(0));
  else it->second.process->offer(LIVESWAP_COUNT, question);
}

void WorkerPool::look_for_stops() {
  // Of those that have ended, some may have been the last of their cgroup.
  base_.cgroups.remove("");
  // A SIGCHLD is mostly of a child that has ended: then no worker has to be looked at.
  siginfo_t any{};
  const int found = ::waitid(P_ALL, 0, &any, WSTOPPED | WCONTINUED | WNOHANG | WNOWAIT);
  if (!handlers_.stopped || found != 0 || any.si_pid == 0) return;
  std::map<WorkerId, bool> stops;
  for (const auto& [id, entry] : entries_)
    if (const auto stopped = entry.process->take_stop()) stops[id] = *stopped;
  for (const auto& [id, is_stopped] : stops) handlers_.stopped(id, is_stopped);
}

const WorkerPool::Known& WorkerPool::find(WorkerId id) const {
  static const Known nothing;
  const auto it = entries_.find(id);
  return it == entries_.end() ? nothing : it->second;
}

bool WorkerPool::may_have_served(WorkerId id) const {
  const Known& worker = find(id);
  return worker.counts_requests || worker.channel_version < LIVESWAP_CHANNEL_WITH_SERVED;
}

const Lending& WorkerPool::lending(WorkerId id) const {
  const auto it = entries_.find(id);
  return it != entries_.end() && it->second.lending ? it->second.lending : listeners_.lending();
}

std::string WorkerPool::last_output(WorkerId id) const {
  const auto it = entries_.find(id);
  return it == entries_.end() ? "" : it->second.process->last_output();
}

void WorkerPool::on_ended(WorkerId id, const Ending& ending) {
  // An exception in one step must not keep the others from running: the engine must learn of the end, and
  // the entry must go.
  guarded([&] { part_with(id, ending); });
  Entry& entry = entries_.at(id);
  // If the worker host drains the application (retiring), its last count of open connections decides. An
  // application that drains by itself has drained when it exits.
  const bool drained = !entry.retiring || entry.open.value_or(0) == 0;
  // Without an exit status: as it was told to, by what is known.
  const bool clean = ending.clean || (ending.unknown && entry.draining && !entry.forced &&
                                      entry.open.value_or(0) == 0 && entry.failure.empty());
  const auto told = guarded([&] {
    handlers_.exited(id, {stage_word(entry.stage), entry.failure.empty() ? ending.text : entry.failure, clean,
                          ending.signal == SIGTERM, drained, entry.cut});
  });
  // There was no memory for the texts: report the end without them.
  if (!told)
    guarded([&] { handlers_.exited(id, {"run", "", clean, ending.signal == SIGTERM, drained, entry.cut}); });
  guarded([&] { keep_left(entry.process->take_output()); });
  entries_.erase(id);
}

void WorkerPool::part_with(WorkerId id, const Ending& ending) {
  Entry& entry = entries_.at(id);
  entry.exit_code = ending.code;
  entry.idle.handed_off -= std::min(entry.idle.handed_off, app_listeners_.refused(id));
  left_behind_.forget(entry.pid);
  base_.cgroups.remove(entry.traces.cgroup);
  app_listeners_.left(id);
  entry.log.end(fmt::format("slot {} pid {}", entry.slot, entry.pid));
  entry.sockets.reset();
  entry.lending.reset();
  if (entry.idle.ended > 0 || entry.idle.handed_off > 0)
    log::info("slot {}: ended {}, handed off {}", entry.slot, plural(entry.idle.ended, "idle connection"),
              entry.idle.handed_off);
}

bool WorkerPool::is_idle() const {
  return std::all_of(entries_.begin(), entries_.end(),
                     [](const auto& entry) { return entry.second.process->is_idle(); });
}

std::vector<state::WorkerState> WorkerPool::save() const {
  std::vector<state::WorkerState> all;
  for (const auto& [id, entry] : entries_) {
    if (!entry.process || entry.process->pid() <= 0) continue;
    state::WorkerState& one = all.emplace_back();
    entry.process->save(one);
    one.id = id;
    one.channel_version = entry.channel_version;
    one.slot = entry.slot;
    one.generation = entry.generation;
    one.set = listeners_.set_of(entry.sockets);
    one.stage = entry.stage;
    one.draining = entry.draining;
    one.retiring = entry.retiring;
    one.forked = entry.forked;
    one.forced = entry.forced;
    one.outlived = entry.outlived;
    one.killed = entry.killed;
    one.open = entry.open;
    one.elsewhere = entry.elsewhere;
    one.cut = entry.cut;
    one.served = entry.served.requests;
    one.failed = entry.served.failed;
    one.idle_ended = entry.idle.ended;
    one.idle_handed_off = entry.idle.handed_off;
    one.failure = entry.failure;
    one.cgroup = entry.traces.cgroup;
    one.program = entry.traces.program;
    one.counts_requests = entry.counts_requests;
  }
  return all;
}

std::vector<state::OutputState> WorkerPool::save_left() const {
  std::vector<state::OutputState> all;
  for (const auto& output : left_) all.push_back(output->save());
  return all;
}

Result<void> WorkerPool::adopt(const state::WorkerState& from) {
  // The former master may have been killed while it looked at what the worker has left.
  thaw(base_.cgroups.of(from.pid, from.cgroup));
  auto process = WorkerProcess::adopt(loop_, from, handlers_of(from.id));
  if (!process) return tl::unexpected<Error>(process.error());
  Entry& entry = entries_[from.id];
  entry.process = std::move(*process);
  entry.pid = from.pid;
  entry.channel_version = from.channel_version;
  entry.slot = from.slot;
  entry.generation = from.generation;
  entry.sockets = listeners_.hold_of(from.set);
  entry.lending = app_listeners_.lent_to(from.id);
  entry.stage = from.stage;
  entry.draining = from.draining;
  entry.retiring = from.retiring;
  entry.forked = from.forked;
  entry.forced = from.forced;
  entry.outlived = from.outlived;
  entry.killed = from.killed;
  entry.open = from.open;
  entry.elsewhere = from.elsewhere;
  entry.cut = from.cut;
  entry.served = {from.served, from.failed};
  entry.idle = {from.idle_ended, from.idle_handed_off};
  entry.failure = from.failure;
  // Of a worker that has ended meanwhile, only the former master could know it.
  entry.traces.program = program_of(from.pid);
  if (entry.traces.program == Program()) entry.traces.program = from.program;
  entry.traces.cgroup = base_.cgroups.of(from.pid, from.cgroup);
  if (from.draining) entry.traces.places = listeners_.places();
  entry.counts_requests = from.counts_requests;
  return {};
}

void WorkerPool::keep_left(std::unique_ptr<Output> output) {
  if (output->ended()) return;
  if (left_.size() == left_limit) left_.pop_front();
  left_.push_back(std::move(output));
  const auto place = std::prev(left_.end());
  (*place)->on_end([this, place] { left_.erase(place); });
}

}  // namespace liveswap::master
