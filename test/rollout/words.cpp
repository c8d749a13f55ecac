#include "words.hpp"

namespace liveswap::rollout {
namespace {

std::string in_words(Verdict verdict) {
  switch (verdict) {
    case Verdict::ok: return "ok";
    case Verdict::failed: return "failed";
    case Verdict::refused: return "refused";
    case Verdict::reverted: return "reverted";
    case Verdict::timed_out: return "timed out";
    case Verdict::unreachable: return "unreachable";
    case Verdict::cut: return "cut";
  }
  return "?";
}

std::string in_words(NoteKind kind) {
  switch (kind) {
    case NoteKind::preparing: return "preparing";
    case NoteKind::started: return "started";
    case NoteKind::spawned: return "spawned";
    case NoteKind::ready: return "ready";
    case NoteKind::draining: return "draining";
    case NoteKind::forced: return "forced";
    case NoteKind::gone: return "gone";
    case NoteKind::failed: return "failed";
    case NoteKind::committed: return "committed";
    case NoteKind::reverting: return "reverting";
    case NoteKind::waiting: return "waiting";
    case NoteKind::queued: return "queued";
    case NoteKind::baking: return "baking";
    case NoteKind::flipping: return "flipping";
    case NoteKind::flipped: return "flipped";
    case NoteKind::probation: return "probation";
    case NoteKind::leaving: return "leaving";
    case NoteKind::dropped: return "dropped";
    case NoteKind::silent: return "silent";
    case NoteKind::answering: return "answering";
    case NoteKind::hung: return "hung";
    case NoteKind::stopped: return "stopped";
    case NoteKind::continued: return "continued";
  }
  return "?";
}

struct Speaker {
  std::string operator()(const Spawn& spawn) const {
    return (spawn.staged ? "stage " : "spawn ") + std::to_string(spawn.worker) + " in " +
           std::to_string(spawn.slot) + ": " + spawn.release.id;
  }
  std::string operator()(const Drain& drain) const {
    return "drain " + std::to_string(drain.worker) +
           (drain.limit ? " " + std::to_string(drain.limit->count()) : " without limit");
  }
  std::string operator()(const Revoke& revoke) const { return "revoke " + std::to_string(revoke.worker); }
  std::string operator()(const Signal& signal) const {
    return (signal.kill ? "kill " : "term ") + std::to_string(signal.worker);
  }
  std::string operator()(const Prepare& prepare) const { return "prepare " + prepare.path; }
  std::string operator()(const CancelPrepare&) const { return "cancel"; }
  std::string operator()(const Commit& commit) const { return "commit " + commit.release.id; }
  std::string operator()(const Flip&) const { return "flip"; }
  std::string operator()(const Measure&) const { return "measure"; }
  std::string operator()(const Steer& steer) const { return "steer below " + std::to_string(steer.slots); }
  std::string operator()(const CloseSlots& close) const {
    return "close from " + std::to_string(close.slots);
  }
  std::string operator()(const Booted&) const { return "booted"; }
  std::string operator()(const Answer& answer) const {
    return "answer " + std::to_string(answer.request) + " " + in_words(answer.verdict);
  }
  std::string operator()(const Quit& quit) const { return quit.ok ? "quit" : "quit: " + quit.text; }
  std::string operator()(const Note& note) const {
    return "(" + in_words(note.kind) + (note.worker ? " " + std::to_string(note.worker) : "") +
           (note.text.empty() ? "" : ": " + note.text) + ")";
  }
};

}  // namespace

std::string in_words(const Command& command) { return std::visit(Speaker{}, command); }

bool aside(const Command& command) {
  const auto* answer = std::get_if<Answer>(&command);
  return std::holds_alternative<Note>(command) || (answer && answer->request == 0);
}

}  // namespace liveswap::rollout
