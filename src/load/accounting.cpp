#include "load/accounting.hpp"

#include <fmt/format.h>

#include <numeric>

namespace liveswap::load {
namespace {

// Reasons are fixed texts and errors of the system, so there are few; bounded anyway.
constexpr std::size_t most_reasons = 200;

std::uint64_t microseconds(Time time) {
  return time.count() <= 0 ? 0 : static_cast<std::uint64_t>(time.count()) / 1000;
}

void note(Seen& seen, Time now) {
  if (seen.count++ == 0) seen.first = now;
  seen.last = now;
}

std::uint64_t sum(const std::map<std::string, std::uint64_t>& counts) {
  return std::accumulate(counts.begin(), counts.end(), std::uint64_t{0},
                         [](std::uint64_t so_far, const auto& entry) { return so_far + entry.second; });
}

std::optional<std::string> mismatch_in(const Tally& tally, const std::string& where) {
  const std::uint64_t ok = tally.of(Outcome::ok);
  if (tally.attempts != tally.ended())
    return fmt::format("{}: {} attempts, but {} in the classes", where, tally.attempts, tally.ended());
  if (sum(tally.versions) != ok)
    return fmt::format("{}: {} ok, but {} in the versions", where, ok, sum(tally.versions));
  if (const std::uint64_t timed = tally.latency.count() + tally.slow_latency.count(); timed != ok)
    return fmt::format("{}: {} ok, but {} latencies", where, ok, timed);
  return std::nullopt;
}

template <class Map>
std::uint64_t seen_in(const Map& map) {
  std::uint64_t count = 0;
  for (const auto& [key, seen] : map) count += seen.count;
  return count;
}

}  // namespace

std::uint64_t Tally::ended() const {
  return std::accumulate(outcomes.begin(), outcomes.end(), std::uint64_t{0});
}

void Tally::add(const Tally& other) {
  attempts += other.attempts;
  slow_attempts += other.slow_attempts;
  for (std::size_t i = 0; i < outcome_count; ++i) outcomes[i] += other.outcomes[i];
  for (const auto& [version, count] : other.versions) versions[version] += count;
  latency.add(other.latency);
  slow_latency.add(other.slow_latency);
}

std::size_t Accounting::begin(Kind kind, Time intended, Time now) {
  std::size_t phase = phases.size() - 1;
  while (phase > 0 && intended < phases[phase].start) --phase;
  for (Tally* tally : {&total, &phases[phase].tally}) {
    ++tally->attempts;
    if (kind == Kind::slow) ++tally->slow_attempts;
  }
  if (kind == Kind::rate) lateness.record(microseconds(now - intended));
  return phase;
}

void Accounting::enter(Tally& tally, Kind kind, const Verdict& verdict, std::uint64_t latency_us) {
  ++tally.outcomes[static_cast<std::size_t>(verdict.outcome)];
  if (verdict.outcome != Outcome::ok) return;
  ++tally.versions[verdict.version];
  (kind == Kind::rate ? tally.latency : tally.slow_latency).record(latency_us);
}

void Accounting::end(const Ended& attempt, const Verdict& verdict) {
  const std::uint64_t latency_us = microseconds(attempt.now - attempt.intended);
  enter(total, attempt.kind, verdict, latency_us);
  enter(phases[attempt.phase].tally, attempt.kind, verdict, latency_us);
  if (verdict.outcome == Outcome::ok) {
    note(versions[verdict.version], attempt.now);
    timeline.answered(attempt.now, verdict.version, attempt.kind, latency_us);
    return;
  }
  timeline.failed(attempt.now);
  if (failed.size() < most_failed)
    failed.push_back(
        {attempt.phase, attempt.intended, attempt.now, attempt.port, verdict.outcome, verdict.reason});
  std::pair key{verdict.outcome, verdict.reason};
  if (reasons.size() >= most_reasons && !reasons.contains(key)) key.second = "(further reasons)";
  note(reasons[key], attempt.now);
}

std::optional<std::string> Accounting::mismatch() const {
  if (auto found = mismatch_in(total, "total")) return found;
  std::uint64_t in_phases = 0;
  for (const Phase& phase : phases) {
    if (auto found = mismatch_in(phase.tally, "phase " + phase.name)) return found;
    in_phases += phase.tally.attempts;
  }
  if (in_phases != total.attempts)
    return fmt::format("{} attempts, but {} in the phases", total.attempts, in_phases);
  if (seen_in(versions) + seen_in(reasons) != total.attempts)
    return fmt::format("{} attempts, but {} versions and reasons", total.attempts,
                       seen_in(versions) + seen_in(reasons));
  return std::nullopt;
}

}  // namespace liveswap::load
