#include <unistd.h>

#include <algorithm>

#include <nlohmann/json.hpp>

#include "base/log.hpp"
#include "base/tail.hpp"
#include "master/master.hpp"
#include "master/workers/memory.hpp"
#include "rollout/start.hpp"

// What the master tells about itself: status, events, log lines.
namespace liveswap::master {
namespace {

using protocol::Json;
using rollout::NoteKind;

const char* word(NoteKind kind) {
  switch (kind) {
    case NoteKind::preparing:
      return "preparing";
    case NoteKind::started:
      return "started";
    case NoteKind::spawned:
      return "spawned";
    case NoteKind::ready:
      return "ready";
    case NoteKind::draining:
      return "draining";
    case NoteKind::expired:
      return "expired";
    case NoteKind::gone:
      return "gone";
    case NoteKind::failed:
      return "failed";
    case NoteKind::committed:
      return "committed";
    case NoteKind::reverting:
      return "reverting";
    case NoteKind::waiting:
      return "waiting";
    case NoteKind::queued:
      return "queued";
    case NoteKind::baking:
      return "baking";
    case NoteKind::flipping:
      return "flipping";
    case NoteKind::flipped:
      return "flipped";
    case NoteKind::probation:
      return "probation";
    case NoteKind::leaving:
      return "leaving";
    case NoteKind::dropped:
      return "dropped";
  }
  return "?";
}

std::string short_id(const rollout::Release& release) { return release.id.substr(0, 12); }

const char* word(rollout::WorkerState state) {
  switch (state) {
    case rollout::WorkerState::starting:
      return "starting";
    case rollout::WorkerState::ready:
      return "ready";
    case rollout::WorkerState::draining:
      return "draining";
  }
  return "?";
}

const char* word(rollout::Parting parting) {
  switch (parting) {
    case rollout::Parting::clean:
      return "clean";
    case rollout::Parting::forced:
      return "forced";
    case rollout::Parting::crashed:
      return "crashed";
  }
  return "?";
}

const char* word(rollout::Verdict verdict) {
  switch (verdict) {
    case rollout::Verdict::ok:
      return "ok";
    case rollout::Verdict::failed:
      return "failed";
    case rollout::Verdict::refused:
      return "refused";
    case rollout::Verdict::reverted:
      return "reverted";
    case rollout::Verdict::timed_out:
      return "timed_out";
    case rollout::Verdict::unreachable:
      return "failed";
  }
  return "?";
}

}  // namespace

Json Master::members_of(const rollout::Note& note) const {
  Json members{{"event", word(note.kind)}};
  if (note.generation) members["generation"] = note.generation;
  if (!note.release.path.empty()) members["release"] = note.release.path;
  if (!note.release.id.empty()) members["id"] = note.release.id;
  if (!note.text.empty()) members["text"] = with_output_of(note.request, note.text);
  if (note.kind == NoteKind::started) members["slots"] = engine_.fork_count();
  if (!note.worker) return members;
  members["slot"] = note.slot;
  members["ms"] = note.since_spawn.count();
  if (const pid_t pid = pool_.pid(note.worker)) members["pid"] = pid;
  if (note.kind == NoteKind::dropped) members["listener"] = note.text;
  if (note.kind != NoteKind::gone) return members;
  members["exit"] = pool_.exit_code(note.worker);
  members["end"] = word(note.parting);
  return members;
}

void Master::log_note(const rollout::Note& note) const {
  const auto pid = pool_.pid(note.worker);
  const auto ms = note.since_spawn.count();
  switch (note.kind) {
    case NoteKind::preparing:
      log::info("preparing the upgrade");
      break;
    case NoteKind::started:
      log::info("generation {}: rolling out {} ({})", note.generation, note.release.path,
                short_id(note.release));
      if (note.text.empty()) break;
      // Of a start nobody else tells the user; of an upgrade the answer does.
      if (engine_.generation() == 0)
        notice(note.text);
      else
        log::warning("generation {}: {}", note.generation, note.text);
      break;
    case NoteKind::spawned:
      log::info("slot {} pid {}: started, generation {}", note.slot, pid, note.generation);
      break;
    case NoteKind::ready:
      log::info("slot {} pid {}: ready after {} ms", note.slot, pid, ms);
      break;
    case NoteKind::draining:
      log::info("slot {} pid {}: draining", note.slot, pid);
      break;
    case NoteKind::expired:
      log::warning("slot {} pid {}: ending it by force: {}", note.slot, pid, note.text);
      break;
    case NoteKind::gone:
      log::info("slot {} pid {}: gone, {}", note.slot, pid, note.text);
      break;
    case NoteKind::failed:
      log::error("pid {} of generation {} failed: {}", pid, note.generation, note.text);
      break;
    case NoteKind::committed:
      log::info("generation {}: committed {} ({})", note.generation, note.release.path,
                short_id(note.release));
      break;
    case NoteKind::reverting:
      log::error("generation {}: reverting: {}", note.generation, first_line(note.text));
      break;
    case NoteKind::waiting:
      log::info("generation {}: {}", note.generation, note.text);
      break;
    case NoteKind::queued:
      log::info("an upgrade waits: {}", note.text);
      break;
    case NoteKind::baking:
      log::info("generation {}: the canary bakes", note.generation);
      break;
    case NoteKind::flipping:
      log::info("generation {}: all new connections go to it from now on", note.generation);
      break;
    case NoteKind::flipped:
      log::info("generation {}: nothing waits for the old workers any more", note.generation);
      break;
    case NoteKind::probation:
      log::info("generation {}: in probation", note.generation);
      break;
    case NoteKind::leaving:
      break;
    case NoteKind::dropped:
      log::warning(
          "slot {} pid {}: taken for dropped: {}, which is served so far and which generation {} has not "
          "bound",
          note.slot, pid, note.text, note.generation);
      break;
  }
}

void Master::log_state(const char* why) const {
  log::info("{}: {}{}{}, generation {}, {} slots", why, engine_.state(), *engine_.phase() ? ", " : "",
            engine_.phase(), engine_.generation(), engine_.fork_count());
  for (const auto& [id, worker] : engine_.workers())
    log::info("{}: slot {} pid {}: {}, generation {}, for {} ms", why, worker.slot, pool_.pid(id),
              word(worker.state), worker.generation, (now() - worker.spawned).count());
}

// Of a worker that has answered: what it counts of requests came along with its connections.
Json Master::worker_status(const rollout::Engine::Worker& worker,
                           const WorkerQuery::Answers& connections) const {
  const auto open = connections.find(worker.id);
  const auto rss = rss_of(pool_.pid(worker.id));
  const auto served = pool_.served(worker.id);
  const bool counts = served.served > 0 || served.failed > 0;
  Json status{{"pid", pool_.pid(worker.id)},
              {"state", word(worker.state)},
              {"generation", worker.generation},
              {"release", worker.release.path},
              {"id", worker.release.id},
              {"uptime_ms", (now() - worker.spawned).count()},
              {"connections", open == connections.end() ? Json() : Json(open->second)},
              {"rss", rss ? Json(*rss) : Json()},
              {"requests", counts ? Json(served.served) : Json()},
              {"failed", counts ? Json(served.failed) : Json()}};
  if (worker.state == rollout::WorkerState::starting && !worker.awaits.text.empty())
    status["awaits"] = worker.awaits.text;
  return status;
}

Json Master::slot_status(unsigned number, const WorkerQuery::Answers& connections) const {
  const auto& slot = engine_.slots()[number];
  Json workers = Json::array();
  for (const auto id : slot.workers) workers.push_back(worker_status(engine_.workers().at(id), connections));
  return {{"slot", number},
          {"restarts", slot.restarts},
          {"workers", workers},
          {"last_failure", last_failure_of(number)}};
}

Json Master::status(const WorkerQuery::Answers& connections) {
  const auto time = now();
  Json slots = Json::array();
  for (unsigned slot = 0; slot < engine_.slots().size(); ++slot)
    slots.push_back(slot_status(slot, connections));
  Json listeners = Json::array();
  for (const auto& one : listeners_.bound()) {
    Json listener{{"name", one.name}, {"address", one.address}, {"taken_over", one.taken}};
    if (const auto stuck = app_listeners_.stuck_options().find(one.name);
        stuck != app_listeners_.stuck_options().end())
      listener["note"] = stuck->second;
    listeners.push_back(std::move(listener));
  }
  Json report{{"version", LIVESWAP_VERSION},
              {"pid", ::getpid()},
              {"port", options_.port},
              {"uptime_ms", (time - started_).count()},
              {"head", engine_.release().path},
              {"release_id", engine_.release().id},
              {"head_file", options_.head},
              {"generation", engine_.generation()},
              {"forks", engine_.fork_count()},
              {"state", engine_.state()},
              {"zero_downtime", options_.zero_downtime},
              {"listen_mode", options_.listen_mode == ListenMode::shared ? "shared" : "reuseport"},
              {"listeners", listeners},
              {"slots", slots}};
  if (!options_.target.empty()) report["target"] = options_.target;
  if (const auto remark = start_remark(); !remark.empty()) report["target_note"] = remark;
  if (Json left = left_status(); !left.empty()) report["left"] = std::move(left);
  if (!record_trouble_.empty())
    report["record_note"] = "a restart begins with an earlier release: " + record_trouble_;
  if (const auto it = unsound_.find(file_of(engine_.release())); it != unsound_.end())
    report["release_note"] = "the release cannot be respawned: " + it->second;
  if (last_upgrade_)
    report["last_upgrade"] = {{"status", word(last_upgrade_->verdict)},
                              {"text", last_upgrade_->text},
                              {"receipt", last_upgrade_->receipt},
                              {"ago_ms", (time - last_upgrade_->at).count()}};
  if (const auto request = engine_.upgrading()) report["upgrade"] = upgrade_status(*request);
  if (const auto request = engine_.queued()) report["queued"] = queued_status(*request);
  if (options_.max_memory > 0) report["max_memory"] = options_.max_memory;
  return report;
}

// Processes that accept, or could, and that no upgrade reaches.
Json Master::left_status() {
  Json left = Json::array();
  for (const auto& one : pool_.remaining()) {
    const bool known = one.holder.is_known;
    left.push_back({{"pid", one.holder.process.pid},
                    {"program", one.holder.process.program},
                    {"listeners", one.holder.listeners},
                    {"slot", known ? Json(one.slot) : Json()},
                    {"generation", known ? Json(one.generation) : Json()}});
  }
  return left;
}

// In what the next start, or this one, differs from what is configured.
std::string Master::start_remark() const {
  const auto remark = rollout::target_remark(options_.target, options_.force_target, engine_.release().path);
  return remark.empty() && engine_.generation() == 1 ? compared_ : remark;
}

Json Master::last_failure_of(unsigned slot) const {
  const auto it = last_failure_.find(slot);
  if (it == last_failure_.end()) return nullptr;
  const Failure& failure = it->second;
  return {{"text", with_output(failure.reason, failure.output)},
          {"pid", failure.pid},
          {"generation", failure.generation},
          {"ago_ms", (now() - failure.at).count()}};
}

// What is under way.
Json Master::upgrade_status(rollout::RequestId request) const {
  const auto it = pending_.find(request);
  unsigned ready = 0;
  for (const auto& [id, worker] : engine_.workers())
    if (worker.generation == engine_.goal_generation() && worker.state == rollout::WorkerState::ready)
      ++ready;
  Json upgrade{{"kind", it == pending_.end() ? "start" : protocol::word(it->second.verb)},
               {"to", engine_.goal_release().path},
               {"phase", engine_.phase()},
               {"slots", engine_.fork_count()},
               {"slots_ready", ready}};
  if (const auto end = engine_.phase_end())
    upgrade["left_ms"] = std::max<rollout::Time::rep>(0, (*end - now()).count());
  if (it == pending_.end()) return upgrade;
  upgrade["elapsed_ms"] = (now() - it->second.since).count();
  upgrade["asked_by"] = it->second.by;
  if (engine_.goal_release().path.empty()) upgrade["to"] = it->second.asked;
  return upgrade;
}

Json Master::queued_status(rollout::RequestId request) const {
  const auto it = pending_.find(request);
  if (it == pending_.end()) return nullptr;
  return {{"to", it->second.asked}, {"waiting_ms", (now() - it->second.since).count()}};
}

}  // namespace liveswap::master
