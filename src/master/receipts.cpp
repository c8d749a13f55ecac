#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "base/log.hpp"
#include "base/tail.hpp"
#include "config/values.hpp"
#include "master/master.hpp"
#include "protocol/line_buffer.hpp"

// What goes into the receipt of an upgrade, and what is told of the receipts of earlier ones.
namespace liveswap::master {
namespace {

using protocol::Json;
using release::Recorder;
using rollout::NoteKind;

// How often accept queues are looked at while an upgrade is under way.
constexpr Milliseconds queue_interval{20};
constexpr std::uint64_t history_default = 20;
constexpr std::uint64_t history_limit = 1000;

// The phase that begins with a note; nothing for notes that begin none.
const char* phase_of(NoteKind kind) {
  switch (kind) {
    case NoteKind::preparing:
      return "preparing";
    case NoteKind::started:
      return "rolling";
    case NoteKind::baking:
      return "baking";
    case NoteKind::flipping:
      return "flipping";
    case NoteKind::probation:
      return "probation";
    case NoteKind::reverting:
      return "reverting";
    case NoteKind::leaving:
      return "leaving";
    case NoteKind::spawned:
    case NoteKind::ready:
    case NoteKind::draining:
    case NoteKind::expired:
    case NoteKind::gone:
    case NoteKind::failed:
    case NoteKind::committed:
    case NoteKind::waiting:
    case NoteKind::queued:
    case NoteKind::dropped:
    case NoteKind::flipped:
      return nullptr;
  }
  return nullptr;
}

Recorder::End end_of(rollout::Parting parting) {
  switch (parting) {
    case rollout::Parting::clean:
      return Recorder::End::clean;
    case rollout::Parting::forced:
      return Recorder::End::forced;
    case rollout::Parting::crashed:
      return Recorder::End::crashed;
  }
  return Recorder::End::crashed;
}

Json plan_of(const rollout::Engine& engine) {
  const auto& pace = engine.pace();
  return {{"forks", engine.fork_count()},
          {"batch", pace.batch},
          {"surge", pace.surge.of(engine.fork_count())},
          {"canary", pace.canary.of(engine.fork_count())},
          {"bake_ms", pace.bake.count()},
          {"probation_ms", pace.probation.count()},
          {"flip", pace.flip}};
}

}  // namespace

void Master::open_receipt(const rollout::Note& note) {
  const auto it = pending_.find(note.request);
  const bool start = note.request == 0;
  if (!start && it == pending_.end()) return;
  const std::string by =
      start ? "uid " + std::to_string(::getuid()) + ", start of pid " + std::to_string(::getpid())
            : it->second.by;
  const std::string value = start ? options_.target : it->second.asked;
  // Until more is known of it, which is never when its preparation fails.
  const std::string to = value.empty() ? engine_.release().path : value;
  open_receipts_.open(note.request, now(),
                      Json{{"kind", start ? "start" : protocol::word(it->second.verb)},
                           {"asked", {{"by", by}, {"value", value}}},
                           {"from", release_json(engine_.release(), engine_.generation())},
                           {"to", release_json({to, {}}, 0)},
                           {"plan", plan_of(engine_)}});
}

void Master::account(const rollout::Note& note) {
  const bool begins = note.kind == NoteKind::preparing || note.kind == NoteKind::started;
  if (begins && !open_receipts_.find(note.request) && (note.request != 0 || engine_.generation() == 0))
    open_receipt(note);
  Recorder* receipt = open_receipts_.find(note.request);
  if (!receipt) return;
  const auto time = now();
  if (const char* phase = phase_of(note.kind)) receipt->phase(time, phase);
  if (note.kind == NoteKind::started) {
    std::map<rollout::WorkerId, pid_t> pids;
    for (const auto& [id, worker] : engine_.workers())
      if (worker.generation != note.generation && pool_.pid(id)) pids[id] = pool_.pid(id);
    open_receipts_.begin(note.request, engine_, pids, note);
  }
  if (begins) sample_queues();
  switch (note.kind) {
    case NoteKind::spawned: {
      const bool reverting = engine_.reverting();
      const auto role = note.generation > engine_.generation() ? Recorder::Role::fresh
                        : reverting                            ? Recorder::Role::back
                                                               : Recorder::Role::before;
      receipt->worker(time, note.worker, note.slot, note.generation, role, pool_.pid(note.worker));
      break;
    }
    case NoteKind::ready:
      receipt->ready(time, note.worker);
      break;
    case NoteKind::draining:
      receipt->draining(time, note.worker);
      break;
    case NoteKind::expired:
      receipt->forced(note.worker, note.text);
      break;
    case NoteKind::flipping:
      receipt->flip(time);
      break;
    case NoteKind::failed:
      receipt->failed(note.worker, with_output_of(note.request, note.text));
      break;
    case NoteKind::dropped:
      receipt->dropped(note.text);
      break;
    case NoteKind::gone: {
      const auto idle = pool_.idle(note.worker);
      receipt->idle(note.worker, idle.ended, idle.moved);
      for (const auto& one : pool_.left(note.worker))
        receipt->left(note.worker, one.process.pid, one.process.program, one.listeners, one.is_ended);
      receipt->gone(time, note.worker, pool_.exit_code(note.worker), end_of(note.parting));
      break;
    }
    default:
      break;
  }
}

Recorder* Master::upgrade_receipt() {
  const auto request = engine_.upgrading();
  return request ? open_receipts_.find(*request) : nullptr;
}

void Master::sample_queues() {
  Recorder* receipt = upgrade_receipt();
  if (!receipt) return;
  for (const auto& queue : listeners_.depth()) receipt->depth(queue.name, queue.waiting);
  queue_timer_.start(queue_interval, [this] { sample_queues(); });
}

OpenReceipts::Closed Master::close_receipt(rollout::RequestId request, const char* outcome,
                                           const std::string& reason) {
  return open_receipts_.close(request, now(), outcome, reason);
}

void Master::on_history(rollout::RequestId request, const std::string& count) {
  const auto wanted =
      count.empty() ? Result<std::uint64_t>(history_default) : config::parse_number(count, 1, history_limit);
  if (!wanted) return refuse(request, protocol::Refusal::usage, "history: " + wanted.error().text);
  pass_on(request, {"history", options_.state_dir, std::to_string(*wanted)});
}

void Master::on_receipt(rollout::RequestId request, const std::string& number) {
  if (number.empty()) return pass_on(request, {"receipt", options_.state_dir, "newest"});
  const auto wanted = config::parse_number(number, 1, UINT32_MAX);
  if (!wanted) return refuse(request, protocol::Refusal::usage, "receipt: " + wanted.error().text);
  pass_on(request, {"receipt", options_.state_dir, std::to_string(*wanted)});
}

// The answer is a line already, which is not looked at here.
void Master::pass_on(rollout::RequestId request, std::vector<std::string> words) {
  reader_.ask(std::move(words), [this, request](Reader::Reply& reply) {
    answer_or_give_up(request, [&] { pass_on(request, reply); });
  });
}

void Master::pass_on(rollout::RequestId request, Reader::Reply& reply) {
  if (reply.result.kind != Task::Result::Kind::done) return refuse_unread(request, reply.result);
  struct stat info {};
  const bool readable = reply.document && ::fstat(reply.document.get(), &info) == 0 && S_ISREG(info.st_mode);
  const auto size = static_cast<std::size_t>(info.st_size);
  if (!readable || size == 0 || size > protocol::answer_limit)
    return refuse(request, protocol::Refusal::failed, "liveswap-store gave an answer that is none");
  const auto it = pending_.find(request);
  if (it == pending_.end()) return;
  const ConnectionId connection = it->second.connection;
  pending_.erase(it);
  control_->answer(connection, std::move(reply.document), size, std::move(reply.place));
}

void Master::refuse_unread(rollout::RequestId request, const Task::Result& result) {
  using Kind = Task::Result::Kind;
  switch (result.kind) {
    case Kind::done:
    case Kind::refused:
    case Kind::unstarted:
      return refuse(request, protocol::Refusal::failed, result.text);
    case Kind::failed:
      return refuse(request, protocol::Refusal::failed, "the history cannot be read: " + result.text);
    case Kind::silent:
      return refuse(
          request, protocol::Refusal::failed,
          with_output("the history cannot be read: liveswap-store ended without an answer: " + result.text,
                      result.output));
    case Kind::late:
      return refuse(request, protocol::Refusal::timed_out,
                    fmt::format("the history in {}/history could not be read within {} s", options_.state_dir,
                                reading_limit.count() / 1000));
  }
}

}  // namespace liveswap::master
