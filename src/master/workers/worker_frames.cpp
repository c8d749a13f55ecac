#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <utility>

#include "base/log.hpp"
#include "master/workers/worker_pool.hpp"

// What workers say.
namespace liveswap::master {
namespace {

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

}  // namespace

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
    case LIVESWAP_SERVED:
      if (!std::exchange(entry.counts_requests, true) && handlers_.noted) handlers_.noted();
      break;
    case LIVESWAP_IDLE: note_idle(entry, frame.text); break;
    // Thousands may come at once: a connection that a worker takes at once changes nothing that is kept.
    case LIVESWAP_HANDOFF:
      app_listeners_.take_frame(id, frame);
      if (app_listeners_.is_full(id)) entry.process->rest();
      if (app_listeners_.holds_connections() && handlers_.connection_waits) handlers_.connection_waits();
      break;
    default:
      if (app_listeners_.take_frame(id, frame) && handlers_.app_listeners_changed)
        handlers_.app_listeners_changed();
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
  if (said.served > 0) entry.counts_requests = true;
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

}  // namespace liveswap::master
