#include <fmt/format.h>

#include <iterator>

#include "load/program/report.hpp"

namespace liveswap::load {
namespace {

using Out = std::back_insert_iterator<std::string>;

double milliseconds(std::uint64_t microseconds) { return static_cast<double>(microseconds) / 1e3; }

double milliseconds(Time time) { return static_cast<double>(time.count()) / 1e6; }

void add_row(Out out, const std::string& name, std::uint64_t attempts, const std::string& failures,
             const Histogram& latency) {
  fmt::format_to(out, "  {:<20}{:>10}{:>10}{:>10.2f}{:>10.2f}{:>10.2f}{:>10.2f}{:>10.2f}\n", name, attempts,
                 failures, milliseconds(latency.at(0.5)), milliseconds(latency.at(0.9)),
                 milliseconds(latency.at(0.99)), milliseconds(latency.at(0.999)),
                 milliseconds(latency.max()));
}

void add_tally(Out out, const std::string& name, const Tally& tally) {
  add_row(out, name, tally.attempts, fmt::format("{}", tally.failures()), tally.latency);
  if (tally.slow_attempts > 0) add_row(out, "  slow among them", tally.slow_attempts, "", tally.slow_latency);
}

void add_phases(Out out, const Accounting& books) {
  fmt::format_to(out, "\n  {:<20}{:>10}{:>10}{:>10}{:>10}{:>10}{:>10}{:>10}\n", "phase (ms)", "attempts",
                 "failures", "p50", "p90", "p99", "p99.9", "max");
  for (const Phase& phase : books.phases)
    if (books.phases.size() > 1 && phase.tally.attempts > 0) add_tally(out, phase.name, phase.tally);
  add_tally(out, "total", books.total);
}

void add_seen(Out out, const std::string& name, const Seen& seen) {
  fmt::format_to(out, "  {:<50}{:>10}  {:.0f}-{:.0f} ms\n", name, seen.count, milliseconds(seen.first),
                 milliseconds(seen.last));
}

void add_timeline(Out out, const Report& report) {
  fmt::format_to(out, "\n  {:>10}{:>10}{:>10}{:>10}  versions\n", "at ms", "ok", "failures", "p99 ms");
  for (const auto& bucket : report.timeline) {
    fmt::format_to(out, "  {:>10.0f}{:>10}{:>10}{:>10.2f} ",
                   milliseconds(bucket.index * report.accounting.timeline.width()), bucket.ok,
                   bucket.failures, milliseconds(bucket.p99_us));
    for (const auto& [version, count] : bucket.versions) fmt::format_to(out, " {}: {}", version, count);
    fmt::format_to(out, "\n");
  }
}

void add_connections(Out out, const ConnectionCounts& counts) {
  fmt::format_to(out, "\nconnections: {} opened, {} reused, {} closed as told, at most {} open\n",
                 counts.opened, counts.reused, counts.closed_as_told, counts.most_open);
  if (counts.idle_closed + counts.idle_reset + counts.idle_garbage > 0)
    fmt::format_to(out, "while idle: {} closed, {} reset, {} sent bytes that nobody asked for\n",
                   counts.idle_closed, counts.idle_reset, counts.idle_garbage);
}

}  // namespace

std::string as_text(const Report& report) {
  const Accounting& books = report.accounting;
  std::string text;
  const Out out(text);
  fmt::format_to(out, "{}: {} attempts in {:.1f} s, {} failures\n", report.options.target.shown,
                 books.total.attempts, milliseconds(report.elapsed) / 1e3, books.total.failures());
  for (const Outcome outcome : all_outcomes)
    if (const std::uint64_t count = books.total.of(outcome))
      fmt::format_to(out, "  {:<12}{:>8}\n", name_of(outcome), count);
  add_phases(out, books);
  if (!books.versions.empty()) fmt::format_to(out, "\nversions, first to last answer:\n");
  for (const auto& [version, seen] : books.versions) add_seen(out, version, seen);
  if (!books.reasons.empty()) fmt::format_to(out, "\nfailures:\n");
  for (const auto& [key, seen] : books.reasons)
    add_seen(out, fmt::format("{}: {}", name_of(key.first), key.second), seen);
  if (report.options.show_timeline) add_timeline(out, report);
  add_connections(out, report.connections);
  fmt::format_to(out, "client: at most {:.2f} ms late (p99 {:.2f} ms), {:.0f} ms of CPU\n",
                 milliseconds(books.lateness.max()), milliseconds(books.lateness.at(0.99)),
                 milliseconds(report.cpu));
  return text;
}

}  // namespace liveswap::load
