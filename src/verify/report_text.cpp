#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <iterator>

#include "verify/findings.hpp"

namespace liveswap::verify {
namespace {

using Out = std::back_insert_iterator<std::string>;

constexpr std::size_t found_width = 96;

class Paint {
 public:
  explicit Paint(bool colour) : colour_(colour) {}
  std::string good(const std::string& text) const { return in("32", text); }
  std::string bad(const std::string& text) const { return in("31", text); }
  std::string odd(const std::string& text) const { return in("33", text); }

 private:
  std::string in(const char* code, const std::string& text) const {
    return colour_ ? fmt::format("\x1b[{}m{}\x1b[0m", code, text) : text;
  }
  bool colour_;
};

double ms(std::uint64_t microseconds) { return static_cast<double>(microseconds) / 1000; }

double p99(const load::Tally& tally) { return ms(tally.latency.at(0.99)); }

// Replaces control characters in texts from applications and loaders, except `kept`.
std::string plain(std::string text, char kept = ' ') {
  std::replace_if(
      text.begin(), text.end(),
      [kept](unsigned char c) { return c != static_cast<unsigned char>(kept) && (c < ' ' || c == 0x7f); },
      ' ');
  return text;
}

std::string cut(const std::string& text, std::size_t width) {
  const std::string line = plain(text);
  return line.size() <= width ? line : line.substr(0, width - 3) + "...";
}

void add_row(Out out, const Paint& paint, const std::string& name, const load::Tally& tally,
             std::uint64_t lost, const load::Tally* before) {
  const std::string count = fmt::format("{:>8}", lost);
  fmt::format_to(out, "  {:<18}{:>10}{}", name, tally.attempts, lost > 0 ? paint.bad(count) : count);
  if (tally.latency.count() == 0) {
    fmt::format_to(out, "{0:>10}{0:>10}{0:>10}\n", "-");
    return;
  }
  const bool compared = before && before != &tally && name != "start";
  const double base = compared ? p99(*before) : 0;
  fmt::format_to(out, "{:>10.2f}{:>10.2f}{:>10.2f}{}\n", ms(tally.latency.at(0.5)), p99(tally),
                 ms(tally.latency.max()), base > 0 ? fmt::format("{:>10.1f} x", p99(tally) / base) : "");
}

void add_requests(Out out, const Paint& paint, const Findings& findings) {
  const load::Tally* before = findings.measured.find("before");
  fmt::format_to(out, "\n  {:<18}{:>10}{:>8}{:>10}{:>10}{:>10}{:>12}\n", "phase", "requests", "failed",
                 "p50 ms", "p99 ms", "max ms", "p99:before");
  for (const auto& phase : findings.measured.phases)
    add_row(out, paint, phase.name, phase.tally, findings.lost_in(phase.name), before);
  add_row(out, paint, "total", findings.measured.total, findings.lost(), nullptr);
  if (const auto count = findings.lost_with_worker())
    fmt::format_to(out, "  and {} lost with the worker{} that this run has killed\n", count,
                   findings.killed.size() == 1 ? "" : "s");
}

void add_upgrades(Out out, const Paint& paint, const Findings& findings, const Task& task) {
  if (findings.upgrades.empty()) return;
  std::vector<Milliseconds> lengths;
  for (const Upgrade& one : findings.upgrades)
    if (one.outcome.status == ok) lengths.push_back(one.length);
  std::sort(lengths.begin(), lengths.end());
  const bool well = lengths.size() == task.upgrades;
  fmt::format_to(out, "\n  {}  {:<16} {} of {} done", well ? paint.good("ok    ") : paint.bad("FAILED"),
                 "upgrades", lengths.size(), task.upgrades);
  if (!lengths.empty())
    fmt::format_to(out, ", in {} to {} ms each", lengths.front().count(), lengths.back().count());
  fmt::format_to(out, "\n");
}

void add_faults(Out out, const Paint& paint, const Findings& findings, const Task& task) {
  for (const FaultFinding& one : findings.faults)
    fmt::format_to(
        out, "  {}  {:<16} {}\n", one.as_expected ? paint.good("ok    ") : paint.bad("FAILED"),
        word(one.fault),
        cut(one.as_expected ? one.found : fmt::format("expected: {}; found: {}", one.expected, one.found),
            found_width - 24));
  for (std::size_t i = findings.faults.size(); i < task.faults.size(); ++i)
    fmt::format_to(out, "  {}  {:<16} not tried\n", paint.odd("-     "), word(task.faults[i]));
}

std::string heading(const Task& task) {
  const auto name = [](const std::string& path) { return std::filesystem::path(path).filename().string(); };
  return task.second == task.library ? name(task.library)
                                     : fmt::format("{} and {}", name(task.library), name(task.second));
}

}  // namespace

std::string as_text(const Findings& findings, const Task& task, bool colour) {
  const Paint paint(colour);
  const auto problems = findings.problems();
  std::string text;
  const Out out(text);
  fmt::format_to(out, "{}: {} of {} upgrades, {} of {} faults, in {:.1f} s\n", heading(task),
                 findings.upgrades.size(), task.upgrades, findings.faults.size(), task.faults.size(),
                 static_cast<double>(findings.length.count()) / 1000);
  add_requests(out, paint, findings);
  add_upgrades(out, paint, findings, task);
  add_faults(out, paint, findings, task);
  fmt::format_to(out, "\n");
  for (const auto& warning : findings.warnings())
    fmt::format_to(out, "  {} {}\n", paint.odd("warning:"), plain(warning));
  if (problems.empty()) {
    const auto excused = findings.lost_with_worker();
    fmt::format_to(out, "{}: {} requests, none was lost{}\n", paint.good("PASSED"),
                   findings.measured.total.attempts,
                   excused > 0 ? fmt::format(" but {} with a killed worker", excused) : "");
  } else {
    fmt::format_to(out, "{}:\n", paint.bad("FAILED"));
    for (const auto& problem : problems) fmt::format_to(out, "  - {}\n", plain(problem, '\n'));
  }
  return text;
}

}  // namespace liveswap::verify
