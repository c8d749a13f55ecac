#include "master/receipts/open_receipts.hpp"

#include <unistd.h>

#include <chrono>
#include <nlohmann/json.hpp>

#include "base/log.hpp"
#include "json/fields.hpp"
#include "json/parse.hpp"
#include "master/state/archive.hpp"
#include "master/uv/loop.hpp"
#include "release/success_text.hpp"

namespace liveswap::master {
namespace {

using protocol::Json;
using release::Recorder;
using rollout::NoteKind;

// The interval of sample_queues() while an upgrade is under way; so much more for each 100 slots, because a
// sample looks at every socket.
constexpr Milliseconds queue_interval{20};

// The phase that begins with such a note; nullptr: none begins.
const char* phase_of(NoteKind kind) {
  switch (kind) {
    case NoteKind::preparing: return "preparing";
    case NoteKind::started: return "rolling";
    case NoteKind::baking: return "baking";
    case NoteKind::flipping: return "flipping";
    case NoteKind::probation: return "probation";
    case NoteKind::reverting: return "reverting";
    case NoteKind::leaving: return "leaving";
    case NoteKind::spawned:
    case NoteKind::ready:
    case NoteKind::draining:
    case NoteKind::forced:
    case NoteKind::gone:
    case NoteKind::failed:
    case NoteKind::committed:
    case NoteKind::waiting:
    case NoteKind::queued:
    case NoteKind::dropped:
    case NoteKind::silent:
    case NoteKind::answering:
    case NoteKind::hung:
    case NoteKind::stopped:
    case NoteKind::continued:
    case NoteKind::flipped: return nullptr;
  }
  return nullptr;
}

Recorder::End end_of(rollout::Parting parting) {
  switch (parting) {
    case rollout::Parting::clean: return Recorder::End::clean;
    case rollout::Parting::forced: return Recorder::End::forced;
    case rollout::Parting::crashed: return Recorder::End::crashed;
  }
  return Recorder::End::crashed;
}

Json plan_of(const rollout::Engine& engine) {
  const auto& pace = engine.pace();
  return {{"forks", engine.fork_count()},
          {"batch", pace.batch ? Json(*pace.batch) : Json("auto")},
          {"surge", pace.surge.of(engine.fork_count())},
          {"canary", pace.canary.of(engine.fork_count())},
          {"bake_ms", pace.bake.count()},
          {"probation_ms", pace.probation.count()},
          {"flip", pace.flip}};
}

// {"path", "id", "generation"}, and of a script "runtime"; null if there is no release. An id or generation
// that is not known yet is null.
Json release_json(const rollout::Release& release, rollout::Generation generation,
                  const KnownRuntimes& runtimes) {
  if (release.path.empty()) return nullptr;
  const auto known = [](bool is, Json value) { return is ? std::move(value) : Json(); };
  Json found{{"path", release.path},
             {"id", known(!release.id.empty(), release.id)},
             {"generation", known(generation > 0, generation)}};
  if (runtimes.has(release.id)) found["runtime"] = runtimes.of(release.id);
  return found;
}

// A reload that changes only settings of the master has no workers to tell of.
bool changes_workers(const Json& receipt) {
  return json::text(receipt, "kind") != "reload" || !json::list(receipt, "slots").empty();
}

}  // namespace

namespace state {
template <>
inline constexpr Recorder::Role last_of<Recorder::Role> = Recorder::Role::back;
template <>
inline constexpr Recorder::End last_of<Recorder::End> = Recorder::End::crashed;
}  // namespace state

std::map<rollout::RequestId, std::string> OpenReceipts::save() const {
  std::map<rollout::RequestId, std::string> texts;
  std::vector<int> none;
  for (const auto& [request, receipt] : open_) state::Writer(texts[request], none).put(receipt);
  return texts;
}

// A receipt that cannot be read is left out: nothing else depends on it.
void OpenReceipts::adopt(rollout::RequestId request, const std::string& text) {
  try {
    Open receipt;
    std::set<int> none;
    const Json found = json::parse_or_null(text);
    state::Reader(found, none).get(found, receipt);
    receipt.is_written = receipt.number > 0 && history_.has(receipt.number);
    history_.adopt(receipt.number);
    open_.insert_or_assign(request, std::move(receipt));
  } catch (const std::exception& wrong) {
    log::warning("a receipt that was open is lost: {}", wrong.what());
  }
}

OpenReceipts::OpenReceipts(uv_loop_t& loop, release::History history, Sources sources)
    : history_(std::move(history)), from_(std::move(sources)), queue_timer_(loop) {}

void OpenReceipts::add(const rollout::Note& note) {
  const bool begins = note.kind == NoteKind::preparing || note.kind == NoteKind::started;
  if (begins && !find(note.request) && (note.request != 0 || from_.engine.generation() == 0)) open(note);
  Recorder* receipt = find(note.request);
  if (!receipt) return;
  if (const char* phase = phase_of(note.kind)) receipt->phase(now(), phase);
  if (note.kind == NoteKind::started) begin(*receipt, note);
  if (begins) sample_queues();
  add_of_worker(*receipt, note);
}

void OpenReceipts::open(const rollout::Note& note) {
  const auto& engine = from_.engine;
  const auto* request = from_.requests.find(note.request);
  const bool start = note.request == 0;
  if (!start && !request) return;
  const std::string by =
      start ? "uid " + std::to_string(::getuid()) + ", start of pid " + std::to_string(::getpid())
            : request->by;
  const std::string value = start ? from_.target : request->asked;
  // Replaced in begin(), once the id and the generation are known. Remains if the preparation fails.
  const std::string to = value.empty() ? engine.release().path : value;
  Json head{{"kind", start ? "start" : protocol::word(request->verb)},
            {"asked", {{"by", by}, {"value", value}}},
            {"from", release_json(engine.release(), engine.generation(), from_.runtimes)},
            {"to", release_json({to, {}}, 0, from_.runtimes)},
            {"plan", plan_of(engine)}};
  Recorder recorder(now(), release::utc_text(std::chrono::system_clock::now()), std::move(head));
  // A failure is told when the receipt is written, which tries again.
  open_.insert_or_assign(note.request, Open{std::move(recorder), history_.reserve().value_or(0)});
}

// Enters the old workers when an upgrade begins to roll. The engine's state may be newer than this note, so
// some of these workers may drain already. Workers that drain because of an earlier upgrade are left out
// (request_of()).
void OpenReceipts::begin(Recorder& receipt, const rollout::Note& note) const {
  receipt.amend({{"to", release_json(note.release, note.generation, from_.runtimes)}});
  for (const auto& [id, worker] : from_.engine.workers()) {
    const pid_t pid = from_.pool.pid(id);
    if (worker.generation == note.generation || !pid || from_.engine.request_of(id) != note.request) continue;
    receipt.worker(worker.spawned, id, worker.slot, worker.generation, Recorder::Role::before, pid);
    if (worker.was_ready) receipt.ready(worker.spawned, id);
  }
}

void OpenReceipts::add_of_worker(Recorder& receipt, const rollout::Note& note) const {
  switch (note.kind) {
    case NoteKind::spawned: {
      const auto role = note.generation > from_.engine.generation() ? Recorder::Role::fresh
                        : from_.engine.reverting()                  ? Recorder::Role::back
                                                                    : Recorder::Role::before;
      return receipt.worker(now(), note.worker, note.slot, note.generation, role,
                            from_.pool.pid(note.worker));
    }
    case NoteKind::ready: return receipt.ready(now(), note.worker);
    case NoteKind::draining: return receipt.draining(now(), note.worker);
    case NoteKind::forced: return receipt.forced(note.worker, note.text);
    case NoteKind::flipping: return receipt.flip(now());
    case NoteKind::failed:
    case NoteKind::hung:
      return receipt.failed(note.worker, from_.failures.with_output_of(note.request, note.text));
    case NoteKind::dropped: return receipt.dropped(note.text);
    case NoteKind::gone: return add_end(receipt, note);
    default: return;
  }
}

void OpenReceipts::add_end(Recorder& receipt, const rollout::Note& note) const {
  const auto& worker = from_.pool.find(note.worker);
  receipt.idle(note.worker, worker.idle.ended, worker.idle.handed_off);
  for (const auto& one : worker.left)
    receipt.left(note.worker, one.process.pid, one.process.program, one.listeners, one.must_end);
  receipt.gone(now(), note.worker, worker.exit_code, end_of(note.parting));
}

Recorder* OpenReceipts::find(rollout::RequestId request) {
  const auto it = open_.find(request);
  return it == open_.end() ? nullptr : &it->second.recorder;
}

Recorder* OpenReceipts::of_upgrade() {
  const auto request = from_.engine.upgrading();
  return request ? find(*request) : nullptr;
}

void OpenReceipts::sample_queues() {
  Recorder* receipt = of_upgrade();
  if (!receipt) return;
  for (const auto& queue : from_.listeners.depth()) receipt->depth(queue.name, queue.waiting);
  const auto hundreds = 1 + from_.engine.fork_count() / 100;
  queue_timer_.start(hundreds * queue_interval, [this] { sample_queues(); });
}

OpenReceipts::Closed OpenReceipts::close(rollout::RequestId request, rollout::Verdict verdict,
                                         const std::string& reason) {
  auto entry = open_.extract(request);
  if (entry.empty()) return {0, reason};
  // `unreachable` and `cut`: the release is committed although clients cannot find a socket's file, or
  // connections were cut; so a rollback can go to it.
  const bool committed = verdict == rollout::Verdict::ok || verdict == rollout::Verdict::unreachable ||
                         verdict == rollout::Verdict::cut;
  const std::string outcome = committed ? "ok" : protocol::word(refusal_of(verdict));
  Open& receipt = entry.mapped();
  if (receipt.is_written) {
    if (request) last_upgrade_ = LastUpgrade{verdict, reason, receipt.number, now()};
    return {receipt.number, reason};
  }
  Json document = receipt.recorder.finish(now(), outcome, reason);
  if (outcome == "ok" && json::text(document, "kind") != "start" && changes_workers(document))
    document["reason"] = release::success_text(document, reason);
  // A refused upgrade has never begun, so these members have no meaning.
  if (outcome == "refused")
    for (const char* unknown : {"to", "plan", "slots", "skew_ms"}) document[unknown] = nullptr;
  const std::string text = json::text_or_empty(document, "reason");
  const auto number = history_.add(std::move(document), receipt.number);
  if (!number) log::error("the receipt could not be written: {}", number.error().text);
  if (number && request) last_upgrade_ = LastUpgrade{verdict, text, *number, now()};
  return {number.value_or(0), text};
}

}  // namespace liveswap::master
