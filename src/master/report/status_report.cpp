#include "master/report/status_report.hpp"

#include <unistd.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/tail.hpp"
#include "master/report/notes.hpp"
#include "master/workers/memory.hpp"
#include "rollout/start.hpp"

namespace liveswap::master {
namespace {

using protocol::Json;

const char* verdict_word(rollout::Verdict verdict) {
  return verdict == rollout::Verdict::ok ? "ok" : protocol::word(refusal_of(verdict));
}

}  // namespace

Json StatusReport::json(const WorkerQuery::Answers& connections) const {
  const auto time = now();
  Json report{{"version", LIVESWAP_VERSION},
              {"pid", ::getpid()},
              {"port", from_.options.port},
              {"uptime_ms", (time - life_.started).count()},
              {"executions", life_.executions},
              {"executed_ms", (time - life_.executed).count()},
              {"head", from_.engine.release().path},
              {"release_id", from_.engine.release().id},
              {"head_file", from_.options.head},
              {"generation", from_.engine.generation()},
              {"forks", from_.engine.fork_count()},
              {"state", from_.engine.state()},
              {"zero_downtime", from_.options.zero_downtime},
              {"listen_mode", from_.options.listen_mode == ListenMode::shared ? "shared" : "reuseport"},
              {"listeners", listeners()},
              {"slots", slots(connections)}};
  if (auto runtime = from_.runtimes.of(from_.engine.release().id); !runtime.is_null())
    report["runtime"] = std::move(runtime);
  if (!from_.options.target.empty()) report["target"] = from_.options.target;
  if (const auto remark = start_remark(); !remark.empty()) report["target_note"] = remark;
  if (Json left_behind = left(); !left_behind.empty()) report["left"] = std::move(left_behind);
  if (const auto& trouble = from_.record.trouble(); !trouble.empty())
    report["record_note"] = "a restart begins with an earlier release: " + trouble;
  if (const auto trouble = from_.soundness.trouble_of(from_.engine.release()); !trouble.empty())
    report["release_note"] = "the release cannot be respawned: " + trouble;
  if (const auto& last = from_.receipts.last_upgrade())
    report["last_upgrade"] = {{"status", verdict_word(last->verdict)},
                              {"text", last->text},
                              {"receipt", last->receipt},
                              {"ago_ms", (time - last->at).count()}};
  if (const auto at = from_.engine.replace_at())
    report["replaced_in_ms"] = std::max<rollout::Time::rep>(0, (*at - time).count());
  if (const auto request = from_.engine.upgrading()) report["upgrade"] = upgrade(*request);
  if (const auto request = from_.engine.queued()) report["queued"] = queued(*request);
  if (!from_.options.config_file.empty()) report["config_file"] = from_.options.config_file;
  if (from_.options.forks != from_.engine.fork_count()) report["forks_configured"] = from_.options.forks;
  if (from_.options.max_memory > 0) report["max_memory"] = from_.options.max_memory;
  return report;
}

Json StatusReport::slots(const WorkerQuery::Answers& connections) const {
  Json all = Json::array();
  for (unsigned number = 0; number < from_.engine.slots().size(); ++number) {
    const auto& slot = from_.engine.slots()[number];
    Json workers = Json::array();
    for (const auto id : slot.workers)
      workers.push_back(of_worker(from_.engine.workers().at(id), connections));
    all.push_back({{"slot", number},
                   {"restarts", slot.restarts},
                   {"workers", workers},
                   {"last_failure", last_failure_of(number)}});
  }
  return all;
}

Json StatusReport::listeners() const {
  Json all = Json::array();
  const auto& stuck = from_.app_listeners.stuck_options();
  for (const auto& one : from_.listeners.bound()) {
    Json listener{{"name", one.name}, {"address", one.address}, {"application", one.application}};
    if (const auto note = stuck.find(one.name); note != stuck.end()) listener["note"] = note->second;
    all.push_back(std::move(listener));
  }
  for (const auto& one : from_.listeners.leaving())
    all.push_back({{"name", one.name}, {"address", one.address}, {"application", false}, {"leaving", true}});
  return all;
}

Json StatusReport::of_worker(const rollout::Engine::Worker& worker,
                             const WorkerQuery::Answers& connections) const {
  const auto open = connections.find(worker.id);
  const auto rss = rss_of(from_.pool.pid(worker.id));
  const auto served = from_.pool.find(worker.id).served;
  const bool counts = served.requests > 0 || served.failed > 0;
  Json status{{"pid", from_.pool.pid(worker.id)},
              {"state", word(worker)},
              {"generation", worker.generation},
              {"release", worker.release.path},
              {"id", worker.release.id},
              {"uptime_ms", (now() - worker.spawned).count()},
              {"connections", open == connections.end() ? Json() : Json(open->second)},
              {"rss", rss ? Json(*rss) : Json()},
              {"requests", counts ? Json(served.requests) : Json()},
              {"failed", counts ? Json(served.failed) : Json()}};
  if (worker.state == rollout::WorkerState::starting && !worker.awaits.text.empty())
    status["awaits"] = worker.awaits.text;
  if (const auto& liveness = worker.liveness; liveness.silent_since)
    status["silent"] = {{"ms", (now() - *liveness.silent_since).count()},
                        {"unanswered", liveness.unanswered},
                        {"text", liveness.text}};
  if (worker.stopped_since) status["stopped_ms"] = (now() - *worker.stopped_since).count();
  return status;
}

// Processes that ended workers have left and that hold listening sockets. They may accept connections, and no
// upgrade replaces them.
Json StatusReport::left() const {
  Json all = Json::array();
  for (const auto& one : from_.pool.remaining()) {
    const bool known = one.holder.is_known;
    all.push_back({{"pid", one.holder.process.pid},
                   {"program", one.holder.process.program},
                   {"listeners", one.holder.listeners},
                   {"slot", known ? Json(one.slot) : Json()},
                   {"generation", known ? Json(one.generation) : Json()}});
  }
  return all;
}

// A remark if the next start will not run the configured target, or if this start has not taken the file that
// is at its path now. Empty: neither.
std::string StatusReport::start_remark() const {
  const auto remark =
      rollout::target_remark(from_.options.target, from_.options.force_target, from_.engine.release().path);
  return remark.empty() && from_.engine.generation() == 1 ? from_.store_tasks.difference() : remark;
}

Json StatusReport::last_failure_of(unsigned slot) const {
  const auto* failure = from_.failures.last_of(slot);
  if (!failure) return nullptr;
  return {{"text", with_output(failure->reason, failure->output)},
          {"pid", failure->pid},
          {"generation", failure->generation},
          {"ago_ms", (now() - failure->at).count()}};
}

// The upgrade, rollback or start that is under way.
Json StatusReport::upgrade(rollout::RequestId request) const {
  const auto* asked = from_.requests.find(request);
  unsigned ready = 0;
  for (const auto& [id, worker] : from_.engine.workers())
    if (worker.generation == from_.engine.goal_generation() && worker.state == rollout::WorkerState::ready)
      ++ready;
  Json report{{"kind", asked ? protocol::word(asked->verb) : "start"},
              {"to", from_.engine.goal_release().path},
              {"phase", from_.engine.phase()},
              {"slots", from_.engine.fork_count()},
              {"slots_ready", ready}};
  if (const auto end = from_.engine.phase_end())
    report["left_ms"] = std::max<rollout::Time::rep>(0, (*end - now()).count());
  if (!asked) return report;
  report["elapsed_ms"] = (now() - asked->since).count();
  report["asked_by"] = asked->by;
  if (from_.engine.goal_release().path.empty()) report["to"] = asked->asked;
  return report;
}

Json StatusReport::queued(rollout::RequestId request) const {
  const auto* asked = from_.requests.find(request);
  if (!asked) return nullptr;
  return {{"to", asked->asked}, {"waiting_ms", (now() - asked->since).count()}};
}

}  // namespace liveswap::master
