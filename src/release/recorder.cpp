#include "release/recorder.hpp"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <ctime>
#include <nlohmann/json.hpp>

#include "json/parse.hpp"

namespace liveswap::release {
namespace {

using Json = Recorder::Json;
using Time = Recorder::Time;

const char* word(Recorder::Role role) {
  switch (role) {
    case Recorder::Role::before: return "old";
    case Recorder::Role::fresh: return "new";
    case Recorder::Role::back: return "back";
  }
  return "?";
}

const char* word(Recorder::End end) {
  switch (end) {
    case Recorder::End::clean: return "clean";
    case Recorder::End::forced: return "forced";
    case Recorder::End::crashed: return "crashed";
  }
  return "?";
}

template <class T>
Json or_null(const std::optional<T>& value) {
  return value ? Json(*value) : Json();
}

// Clamped: two readings of a clock may be slightly out of order.
Json since(Time start, const std::optional<Time>& time) {
  return time ? Json(std::max(*time - start, Time{0}).count()) : Json();
}

}  // namespace

std::string utc_text(std::chrono::system_clock::time_point time) {
  const auto seconds = std::chrono::floor<std::chrono::seconds>(time);
  const auto rest = std::chrono::duration_cast<std::chrono::milliseconds>(time - seconds);
  const std::time_t value = std::chrono::system_clock::to_time_t(seconds);
  std::tm parts{};
  ::gmtime_r(&value, &parts);
  return fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:03}Z", parts, rest.count());
}

Recorder::Recorder(Time start, std::string started, Json head)
    : start_(start),
      started_(std::move(started)),
      head_(std::make_unique<Json>(head.is_object() ? std::move(head) : Json::object())) {}

Recorder::Recorder() : Recorder(Time{0}, "", Json::object()) {}
Recorder::Recorder(Recorder&&) noexcept = default;
Recorder& Recorder::operator=(Recorder&&) noexcept = default;
Recorder::~Recorder() = default;

// Invalid UTF-8, as in a path, is replaced: the receipt could not contain it either.
std::string Recorder::head_text() const {
  return head_->dump(-1, ' ', false, Json::error_handler_t::replace);
}

void Recorder::set_head(const std::string& text) {
  *head_ = json::parse_or_null(text);
  if (!head_->is_object()) *head_ = Json::object();
}

void Recorder::amend(const Json& members) {
  if (members.is_object()) head_->update(members);
}

void Recorder::phase(Time time, const std::string& name) {
  if (!phases_.empty() && phases_.back().name == name && !phases_.back().end) return;
  end_phase(time);
  phases_.push_back({name, time, {}});
}

void Recorder::end_phase(Time time) {
  if (!phases_.empty() && !phases_.back().end) phases_.back().end = std::max(time, phases_.back().at);
}

void Recorder::worker(Time spawned, Id id, unsigned slot, std::uint64_t generation, Role role, pid_t pid) {
  if (workers_.contains(id)) return;
  if (workers_.size() == worker_limit) {
    ++unrecorded_;
    return;
  }
  Worker worker;
  worker.slot = slot;
  worker.generation = generation;
  worker.role = role;
  worker.pid = pid;
  const bool was_there = spawned < start_ || (role == Role::before && spawned == start_);
  if (!was_there) worker.spawned = spawned;
  workers_[id] = std::move(worker);
  order_.push_back(id);
}

Recorder::Worker* Recorder::find(Id id) {
  const auto it = workers_.find(id);
  return it == workers_.end() ? nullptr : &it->second;
}

void Recorder::ready(Time time, Id id) {
  if (auto* worker = find(id); worker && !worker->ready) worker->ready = time;
}

void Recorder::draining(Time time, Id id) {
  auto* worker = find(id);
  if (!worker || worker->drain) return;
  worker->drain = time;
  worker->to_drain = worker->open;
}

void Recorder::connections(Id id, std::uint64_t open) {
  auto* worker = find(id);
  if (!worker || worker->gone) return;
  worker->open = open;
  if (!worker->drain || worker->counted_in_drain) return;
  worker->to_drain = open;
  worker->counted_in_drain = true;
}

void Recorder::idle(Id id, std::uint64_t ended, std::uint64_t handed_off) {
  auto* worker = find(id);
  if (!worker || worker->gone) return;
  worker->ended = ended;
  worker->handed_off = handed_off;
}

void Recorder::left(Id id, pid_t pid, const std::string& program, const std::set<std::string>& listeners,
                    bool ended) {
  auto* worker = find(id);
  if (worker && worker->left.size() < left_limit) worker->left.push_back({pid, program, listeners, ended});
}

void Recorder::forced(Id id, const std::string& why) {
  if (auto* worker = find(id); worker && !worker->gone) worker->force = why;
}

void Recorder::failed(Id id, const std::string& reason) {
  auto* worker = find(id);
  if (!worker) return;
  worker->failure = reason;
  if (worker->gone) worker->end = End::crashed;
}

void Recorder::gone(Time time, Id id, const std::string& exit, End end) {
  auto* worker = find(id);
  if (!worker || worker->gone) return;
  worker->gone = time;
  worker->exit = exit;
  worker->end = worker->failure ? End::crashed : end;
}

void Recorder::flip(Time time) {
  if (!flipped_) flipped_ = time;
}

void Recorder::depth(const std::string& listener, std::optional<std::uint64_t> waiting) {
  auto it = std::find_if(queues_.begin(), queues_.end(),
                         [&](const auto& queue) { return queue.first == listener; });
  if (it == queues_.end()) it = queues_.insert(it, {listener, std::nullopt});
  it->second = std::max(it->second, waiting);
}

void Recorder::dropped(const std::string& listener) { dropped_.push_back(listener); }

void Recorder::probes(std::uint64_t made, std::uint64_t failed) {
  probes_made_ += made;
  probes_failed_ += failed;
}

void Recorder::requests(Role role, std::uint64_t served, std::uint64_t failed) {
  (role == Role::fresh ? new_requests_ : old_requests_) = Requests{served, failed};
}

// Counts how connections ended. A worker that exits by itself has ended all of its own. Without a count, the
// result is null.
Json Recorder::json_of(const Worker& worker) const {
  const auto had = worker.drain ? worker.to_drain : worker.open;
  Json drained, killed, lost;
  if (worker.gone) {
    const auto cut = worker.end == End::clean ? std::optional<std::uint64_t>(0) : worker.open;
    // More may be open at the end than at the start of the drain: connections in the accept queue are still
    // served.
    if (had && cut) drained = *had - std::min(*had, *cut);
    killed = worker.end == End::forced ? or_null(cut) : Json(0);
    lost = worker.end == End::crashed ? or_null(cut) : Json(0);
  }
  Json json{{"pid", worker.pid},
            {"generation", worker.generation},
            {"role", word(worker.role)},
            {"spawned_ms", since(start_, worker.spawned)},
            {"ready_ms", since(start_, worker.ready)},
            {"drain_ms", since(start_, worker.drain)},
            {"gone_ms", since(start_, worker.gone)},
            {"exit", worker.gone ? Json(worker.exit) : Json()},
            {"end", worker.gone ? Json(word(worker.end)) : Json()},
            {"force", worker.force.empty() ? Json() : Json(worker.force)},
            {"connections", worker.drain ? or_null(worker.to_drain) : Json()},
            {"drained", worker.drain ? drained : Json()},
            {"ended", worker.drain ? Json(worker.ended) : Json()},
            {"handed_off", worker.drain ? Json(worker.handed_off) : Json()},
            {"killed", killed},
            {"lost", lost}};
  for (const LeftProcess& left : worker.left)
    json["left"].push_back(
        {{"pid", left.pid}, {"program", left.program}, {"listeners", left.listeners}, {"ended", left.ended}});
  if (worker.failure) json["failure"] = *worker.failure;
  return json;
}

Json Recorder::slots() const {
  std::map<unsigned, Json> workers;
  for (const Id id : order_) {
    const Worker& worker = workers_.at(id);
    workers.try_emplace(worker.slot, Json::array()).first->second.push_back(json_of(worker));
  }
  Json slots = Json::array();
  for (auto& [slot, list] : workers) slots.push_back({{"slot", slot}, {"workers", std::move(list)}});
  return slots;
}

// How long both versions took new connections: from the first new worker that took them until only one
// version did.
Recorder::Time Recorder::skew(Time finish) const {
  const auto plan = head_->find("plan");
  const bool flips = plan != head_->end() && plan->is_object() && plan->value("flip", Json()) == Json(true);
  std::optional<Time> begin;
  Time old_end = start_, new_end = start_;
  for (const auto& [id, worker] : workers_) {
    const Time end = std::min(worker.drain.value_or(finish), worker.gone.value_or(finish));
    if (worker.role != Role::fresh) {
      old_end = std::max(old_end, end);
      continue;
    }
    const auto took = flips ? flipped_ : worker.ready;
    if (!worker.ready || !took) continue;
    begin = std::min(begin.value_or(*took), *took);
    new_end = std::max(new_end, end);
  }
  return begin ? std::max(std::min(old_end, new_end) - *begin, Time{0}) : Time{0};
}

Recorder::Json Recorder::finish(Time time, const std::string& outcome, const std::string& reason) {
  end_phase(time);
  Json document = *head_;
  document["version"] = 1;
  document["outcome"] = outcome;
  document["reason"] = reason;
  document["started"] = started_;
  document["length_ms"] = since(start_, time);
  Json& phases = document["phases"] = Json::array();
  for (const Phase& phase : phases_)
    phases.push_back({{"phase", phase.name},
                      {"at_ms", since(start_, phase.at)},
                      {"length_ms", since(phase.at, phase.end)}});
  document["slots"] = slots();
  if (unrecorded_ > 0) document["unrecorded_workers"] = unrecorded_;
  Json& queues = document["queues"] = Json::array();
  for (const auto& [listener, peak] : queues_)
    queues.push_back({{"listener", listener}, {"peak_depth", or_null(peak)}});
  if (!dropped_.empty()) document["dropped"] = dropped_;
  document["skew_ms"] = skew(time).count();
  document["probes"] = {{"made", probes_made_}, {"failed", probes_failed_}};
  const auto counted = [](const std::optional<Requests>& one) {
    return one ? Json{{"served", one->served}, {"failed", one->failed}} : Json();
  };
  document["requests"] = {{"old", counted(old_requests_)}, {"new", counted(new_requests_)}};
  return document;
}

Json summary_of(const Json& receipt) {
  Json summary = Json::object();
  if (!receipt.is_object()) return summary;
  for (const char* name :
       {"number", "kind", "asked", "from", "to", "outcome", "reason", "started", "length_ms"})
    if (const auto it = receipt.find(name); it != receipt.end()) summary[name] = *it;
  return summary;
}

}  // namespace liveswap::release
