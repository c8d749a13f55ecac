#include "master/report/notes.hpp"

#include <iterator>
#include <nlohmann/json.hpp>

#include "base/log.hpp"
#include "base/tail.hpp"
#include "base/text.hpp"
#include "master/uv/loop.hpp"

namespace liveswap::master {
namespace {

using protocol::Json;
using rollout::NoteKind;

// In the order of the enumerations.
constexpr const char* events[] = {"preparing", "started",   "spawned",   "ready",     "draining", "forced",
                                  "gone",      "failed",    "committed", "reverting", "waiting",  "queued",
                                  "baking",    "flipping",  "flipped",   "probation", "leaving",  "dropped",
                                  "silent",    "answering", "hung",      "stopped",   "continued"};
static_assert(std::size(events) == static_cast<std::size_t>(NoteKind::continued) + 1);
constexpr const char* partings[] = {"clean", "forced", "crashed"};
constexpr const char* states[] = {"starting", "ready", "draining"};

template <class Enum, std::size_t size>
const char* word_in(const char* const (&words)[size], Enum value) {
  return words[static_cast<std::size_t>(value)];
}

}  // namespace

const char* word(const rollout::Engine::Worker& worker) {
  if (worker.stopped_since) return "stopped";
  const bool hangs = worker.liveness.is_hung && worker.state == rollout::WorkerState::ready;
  return hangs ? "hung" : word_in(states, worker.state);
}

std::string Notes::event(const rollout::Note& note) const {
  const char* kind = word_in(events, note.kind);
  Json members{{"event", kind}};
  if (note.generation) members["generation"] = note.generation;
  if (!note.release.path.empty()) members["release"] = note.release.path;
  if (!note.release.id.empty()) members["id"] = note.release.id;
  if (!note.text.empty()) members["text"] = failures_.with_output_of(note.request, note.text);
  if (note.kind == NoteKind::started) members["slots"] = engine_.fork_count();
  if (!note.worker) return protocol::event_line(kind, members);
  members["slot"] = note.slot;
  members["ms"] = note.since_spawn.count();
  if (const pid_t pid = pool_.pid(note.worker)) members["pid"] = pid;
  if (note.kind == NoteKind::dropped) members["listener"] = note.text;
  if (note.kind == NoteKind::gone) {
    members["exit"] = pool_.find(note.worker).exit_code;
    members["end"] = word_in(partings, note.parting);
  }
  return protocol::event_line(kind, members);
}

void Notes::log(const rollout::Note& note) const {
  const auto pid = pool_.pid(note.worker);
  const auto ms = note.since_spawn.count();
  switch (note.kind) {
    case NoteKind::preparing: log::info("preparing the upgrade"); break;
    case NoteKind::started:
      log::info("generation {}: rolling out {} ({})", note.generation, note.release.path,
                short_id(note.release.id));
      if (note.text.empty()) break;
      // A start has no answer, so the user gets its remark as a notice. An upgrade's answer contains the
      // remark.
      if (engine_.generation() == 0) notice_(note.text);
      else log::warning("generation {}: {}", note.generation, note.text);
      break;
    case NoteKind::spawned:
      log::info("slot {} pid {}: started, generation {}", note.slot, pid, note.generation);
      break;
    case NoteKind::ready: log::info("slot {} pid {}: ready after {} ms", note.slot, pid, ms); break;
    case NoteKind::draining: log::info("slot {} pid {}: draining", note.slot, pid); break;
    case NoteKind::forced:
      log::warning("slot {} pid {}: ending it by force: {}", note.slot, pid, note.text);
      break;
    case NoteKind::gone: log::info("slot {} pid {}: gone, {}", note.slot, pid, note.text); break;
    case NoteKind::failed:
      log::error("pid {} of generation {} failed: {}", pid, note.generation, note.text);
      break;
    case NoteKind::committed:
      log::info("generation {}: committed {} ({})", note.generation, note.release.path,
                short_id(note.release.id));
      break;
    case NoteKind::reverting:
      log::error("generation {}: reverting: {}", note.generation, first_line(note.text));
      break;
    case NoteKind::waiting: log::info("generation {}: {}", note.generation, note.text); break;
    case NoteKind::queued: log::info("an upgrade waits: {}", note.text); break;
    case NoteKind::baking: log::info("generation {}: the canary bakes", note.generation); break;
    case NoteKind::flipping:
      log::info("generation {}: all new connections go to it from now on", note.generation);
      break;
    case NoteKind::flipped:
      log::info("generation {}: nothing waits for the old workers any more", note.generation);
      break;
    case NoteKind::probation: log::info("generation {}: in probation", note.generation); break;
    case NoteKind::leaving: break;
    case NoteKind::dropped:
      log::warning(
          "slot {} pid {}: taken for dropped: {}, which is served so far and which generation {} has not "
          "bound",
          note.slot, pid, note.text, note.generation);
      break;
    case NoteKind::silent:
      log::warning("slot {} pid {}: does not answer: {}", note.slot, pid, note.text);
      break;
    case NoteKind::answering: log::info("slot {} pid {}: answers again", note.slot, pid); break;
    case NoteKind::hung:
      log::error("pid {} of generation {} hangs: {}", pid, note.generation, note.text);
      break;
    case NoteKind::stopped:
      log::warning(
          "slot {} pid {}: stopped by a signal (SIGSTOP): it serves nothing until SIGCONT; `kill -CONT {}` "
          "continues it, `kill -KILL {}` has it replaced",
          note.slot, pid, pid, pid);
      break;
    case NoteKind::continued: log::info("slot {} pid {}: runs again (SIGCONT)", note.slot, pid); break;
  }
}

void Notes::log_state(const char* why) const {
  log::info("{}: {}{}{}, generation {}, {} slots", why, engine_.state(), *engine_.phase() ? ", " : "",
            engine_.phase(), engine_.generation(), engine_.fork_count());
  for (const auto& [id, worker] : engine_.workers())
    log::info("{}: slot {} pid {}: {}, generation {}, for {} ms", why, worker.slot, pool_.pid(id),
              word(worker), worker.generation, (now() - worker.spawned).count());
}

}  // namespace liveswap::master
