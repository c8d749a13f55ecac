#include "master/workers/worker_pool.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <signal.h>
#include <sys/wait.h>

#include <algorithm>
#include <cstring>
#include <string_view>
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

log::Level level_of(std::int32_t value) {
  switch (value) {
    case 0: return log::Level::debug;
    case 1: return log::Level::info;
    case 2: return log::Level::warning;
    default: return log::Level::error;
  }
}

// The longest failure message of a worker, in bytes: the message goes to a log, a terminal and an answer.
constexpr std::size_t failure_limit = 2048;

// The master goes on reading the output of left processes, so that they do not block in write(): at most this
// many outputs, the newest.
constexpr std::size_t left_limit = 16;

// The largest number of left processes in a report.
constexpr std::size_t remaining_limit = 64;

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

const Lending& WorkerPool::lending(WorkerId id) const {
  const auto it = entries_.find(id);
  return it != entries_.end() && it->second.lending ? it->second.lending : listeners_.lending();
}

std::string WorkerPool::last_output(WorkerId id) const {
  const auto it = entries_.find(id);
  return it == entries_.end() ? "" : it->second.process->last_output();
}

void WorkerPool::on_frame(WorkerId id, Frame& frame) {
  Entry& entry = entries_.at(id);
  switch (frame.kind) {
    case LIVESWAP_STAGED:
      if (frame.value == LIVESWAP_STAGE_OPEN) entry.channel_version = static_cast<unsigned>(frame.count);
      entry.stage = std::clamp<int>(frame.value, LIVESWAP_STAGE_SPAWN, LIVESWAP_STAGE_RUN);
      break;
    case LIVESWAP_ENTERED:
      // The worker host may have executed another program.
      entry.traces.program = program_of(entry.pid);
      handlers_.entered(id, app_listeners_.entered(id, frame.value == 1));
      break;
    case LIVESWAP_DEFERRED:
      app_listeners_.deferred(id, frame.value == 1);
      handlers_.deferred(id);
      break;
    case LIVESWAP_READY: handlers_.ready(id); break;
    case LIVESWAP_FAILED:
      entry.stage = std::clamp<int>(frame.value, LIVESWAP_STAGE_SPAWN, LIVESWAP_STAGE_RUN);
      entry.failure = frame.text.substr(0, failure_limit);
      break;
    case LIVESWAP_RETURNED:
      if (!entry.draining)
        handlers_.returned(
            id, fmt::format("{} returned {} without having been told to drain",
                            frame.count == 1 ? "the program's main" : "liveswap_main", frame.value));
      break;
    case LIVESWAP_LOG:
      entry.process->add_line(std::string_view(frame.text).substr(0, LIVESWAP_LOG_MAX));
      entry.log.write(level_of(frame.value), fmt::format("slot {} pid {}", entry.slot, entry.pid),
                      std::string_view(frame.text).substr(0, LIVESWAP_LOG_MAX), Milliseconds(uv_now(&loop_)));
      break;
    case LIVESWAP_FORKED:
      if (!std::exchange(entry.forked, true) && handlers_.noted) handlers_.noted();
      break;
    case LIVESWAP_RETIRING:
      entry.retiring = frame.value == 1;
      if (handlers_.noted) handlers_.noted();
      break;
    case LIVESWAP_TAKEN:
    case LIVESWAP_REFUSED: note_taken(id, frame); break;
    // A forked child has the channel, too, and may beat while its parent hangs.
    case LIVESWAP_HEARTBEAT:
      if (frame.sender.pid == entry.pid && handlers_.beat) handlers_.beat(id, Milliseconds(frame.value));
      break;
    case LIVESWAP_ELSEWHERE: entry.elsewhere = frame.count; break;
    case LIVESWAP_COUNTED:
      note_served(entry, frame.text);
      if (frame.value > 0) handlers_.answered(id, frame.value, frame.count);
      else if (entry.draining && !entry.outlived) note_open(id, entry, frame.count);
      break;
    case LIVESWAP_IDLE: note_idle(entry, frame.text); break;
    default:
      if (app_listeners_.take_frame(id, frame) && handlers_.app_listeners_changed)
        handlers_.app_listeners_changed();
      if (frame.kind == LIVESWAP_HANDOFF && app_listeners_.is_full(id)) entry.process->rest();
      break;  // unknown kinds are ignored
  }
}

// Positive numbers are those of questions, negative ones those of liveness checks.
void WorkerPool::note_taken(WorkerId id, const Frame& frame) {
  const bool is_taken = frame.kind == LIVESWAP_TAKEN;
  if (frame.value > 0) return handlers_.answered(id, frame.value, is_taken ? 1 : 0);
  using Taken = AppListeners::Taken;
  const Taken what = is_taken                                   ? Taken::accepted
                     : frame.count == LIVESWAP_REFUSAL_NO_ROOM  ? Taken::no_room
                     : frame.count == LIVESWAP_REFUSAL_NOT_HELD ? Taken::not_held
                                                                : Taken::unseen;
  if (handlers_.taken && frame.value > INT32_MIN) handlers_.taken(id, frame.value, what);
}

// Readers subtract two counts of a worker, so a lower one than the last is ignored.
void WorkerPool::note_served(Entry& entry, const std::string& text) {
  liveswap_served_count said{};
  if (text.size() != sizeof said) return;
  std::memcpy(&said, text.data(), sizeof said);
  if (said.failed > said.served || said.served < entry.served.requests || said.failed < entry.served.failed)
    return;
  entry.served = {said.served, said.failed};
}

void WorkerPool::note_idle(Entry& entry, const std::string& text) {
  liveswap_idle_count said{};
  if (text.size() != sizeof said) return;
  std::memcpy(&said, text.data(), sizeof said);
  // Numbers that no worker can have reached are ignored.
  constexpr std::uint64_t most = UINT32_MAX;
  if (said.ended > most || said.handed_off > most || said.ended < entry.idle.ended ||
      said.handed_off < entry.idle.handed_off)
    return;
  entry.idle = {said.ended, said.handed_off};
}

void WorkerPool::note_open(WorkerId id, Entry& entry, std::uint64_t open) {
  if (std::exchange(entry.open, open) != open) handlers_.connections(id, open);
}

// Cheap, unlike a search in /proc.
bool WorkerPool::may_have_left(const Entry& entry) {
  return entry.forked || has_orphans() || is_populated(entry.traces.cgroup);
}

// The main process of a server that forks for each connection may exit while children still serve
// connections. The master waits for these connections until the worker's drain limit and then signals the
// children.
bool WorkerPool::is_outlived(WorkerId id) {
  Entry& entry = entries_.at(id);
  const bool is_known = left_behind_.knows(entry.pid);
  if (!is_known && !may_have_left(entry)) return false;
  if (!entry.draining) entry.traces.places = listeners_.places();
  const auto sockets = listeners_.listening();
  // Processes that SIGKILL cannot end are not waited for.
  const bool is_late = entry.killed && Milliseconds(uv_now(&loop_)) - *entry.killed >= base_.term_grace;
  if (is_late || (!is_known && (!entry.draining || entry.forced))) {
    const bool others = !entry.process->is_child();
    note_left(entry, left_behind_.end_now(entry.pid, entry.traces, sockets, others));
    return false;
  }
  auto state =
      left_behind_.step(entry.pid, entry.traces, sockets, Milliseconds(uv_now(&loop_)), base_.term_grace);
  if (!state) return true;
  const std::size_t open = state->open;
  if (open > 0 && !std::exchange(entry.outlived, true))
    log::info("slot {} pid {}: has ended; waiting for {} of its forked processes", entry.slot, entry.pid,
              plural(open, "connection"));
  if (entry.outlived) note_open(id, entry, entry.elsewhere = open);
  note_left(entry, std::move(state->holders));
  return !state->is_over;
}

void WorkerPool::note_left(Entry& entry, std::vector<Holder> holders) {
  for (auto& holder : holders) {
    const auto& process = holder.process;
    if (is_remaining(process)) continue;
    log::warning(
        "{} process {} ({}), which has the listener {} open{}",
        holder.is_known ? fmt::format("slot {} pid {}: has ended and left", entry.slot, entry.pid)
                        : "a worker has left",
        process.pid, process.program, fmt::join(holder.listeners, ", "),
        holder.must_end
            ? " and would accept with the old code: it is killed"
            : ", and runs another program, whose connections the new code never gets. End that process, "
              "and set FD_CLOEXEC on listeners before starting programs");
    if (!holder.must_end && remaining_.size() < remaining_limit)
      remaining_.push_back({holder, entry.slot, entry.generation});
    if (entry.left.size() < remaining_limit) entry.left.push_back(std::move(holder));
  }
}

bool WorkerPool::is_remaining(const LeftProcess& process) const {
  return std::any_of(remaining_.begin(), remaining_.end(), [&](const Remaining& one) {
    return one.holder.process.pid == process.pid && one.holder.process.started == process.started;
  });
}

std::vector<WorkerPool::Remaining> WorkerPool::remaining() {
  const auto listening = listeners_.listening();
  std::erase_if(remaining_, [&](const Remaining& one) {
    return !holds_any(one.holder.process, listening, one.holder.own);
  });
  return remaining_;
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
  app_listeners_.left(id);
  left_behind_.forget(entry.pid);
  base_.cgroups.remove(entry.traces.cgroup);
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
  }
  return all;
}

std::vector<state::OutputState> WorkerPool::save_left() const {
  std::vector<state::OutputState> all;
  for (const auto& output : left_) all.push_back(output->save());
  return all;
}

Result<void> WorkerPool::adopt(const state::WorkerState& from) {
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
