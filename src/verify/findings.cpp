#include "verify/findings.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "base/text.hpp"

namespace liveswap::verify {
namespace {

// Clients notice the death of a worker immediately; later, the port may belong to another connection.
constexpr auto long_after = std::chrono::seconds(6);
constexpr std::size_t most_reasons = 4;

}  // namespace

bool Findings::with_worker(const Loss& loss) const {
  return std::any_of(killed.begin(), killed.end(), [&](const Killed& one) {
    return loss.port != 0 && loss.ended >= one.at && loss.ended - one.at < long_after &&
           one.clients.contains(loss.port);
  });
}

std::uint64_t Findings::lost_with_worker() const {
  const auto count = std::count_if(measured.losses.begin(), measured.losses.end(),
                                   [this](const Loss& loss) { return with_worker(loss); });
  return static_cast<std::uint64_t>(count);
}

std::uint64_t Findings::lost_in(const std::string& phase) const {
  const load::Tally* tally = phase.empty() ? &measured.total : measured.find(phase);
  if (!tally) return 0;
  const auto excused = std::count_if(measured.losses.begin(), measured.losses.end(), [&](const Loss& loss) {
    return (phase.empty() || loss.phase == phase) && with_worker(loss);
  });
  return tally->failures() - static_cast<std::uint64_t>(excused);
}

unsigned Findings::deaths() const {
  const auto ours = static_cast<unsigned>(killed.size());
  return restarts > ours ? restarts - ours : 0;
}

std::vector<std::string> Findings::problems() const {
  std::vector<std::string> result;
  for (const auto& fault : measured.faults) result.push_back("the measuring failed: " + fault);
  if (const auto count = lost()) {
    std::map<std::pair<std::string, std::string>, std::uint64_t> reasons;
    for (const Loss& loss : measured.losses)
      if (!with_worker(loss)) ++reasons[{loss.phase, loss.reason}];
    std::string text = fmt::format("{} failed, of {}:", plural(count, "request"), measured.total.attempts);
    std::size_t shown = 0;
    for (const auto& [key, number] : reasons)
      if (++shown <= most_reasons)
        text += fmt::format("\n    {:>6}  in {}: {}", number, key.first, key.second);
    if (shown > most_reasons) text += fmt::format("\n    {:>6}  further reasons", shown - most_reasons);
    if (lost_in("before") > 0)
      text +=
          "\n    some before the first upgrade: the application does not keep up (fewer --clients?) or"
          " answers with errors";
    result.push_back(text);
  }
  if (measured.total.of(load::Outcome::ok) == 0)
    result.push_back("no request was answered, which proves nothing");
  if (measured.garbage > 0)
    result.push_back(
        fmt::format("{} on idle connections without a request", plural(measured.garbage, "answer")));
  for (std::size_t i = 0; i < upgrades.size(); ++i)
    if (const Upgrade& one = upgrades[i]; one.outcome.status != ok)
      result.push_back(fmt::format("upgrade {} to {} failed: {}", i + 1, one.to, one.outcome.text));
  for (const FaultFinding& one : faults)
    if (!one.as_expected)
      result.push_back(fmt::format("{}: expected {}, found {}", word(one.fault), one.expected, one.found));
  if (const auto count = deaths()) result.push_back(plural(count, "worker") + " died unexpectedly");
  if (!whole_at_end) result.push_back("at the end not every slot had a worker that was ready");
  if (!cut_short.empty()) result.push_back("not everything was tried: " + cut_short);
  if (!stopped.empty()) result.push_back(stopped);
  return result;
}

std::vector<std::string> Findings::warnings() const {
  std::vector<std::string> result;
  for (std::size_t i = 0; i < upgrades.size(); ++i)
    for (const auto& anomaly : upgrades[i].anomalies)
      result.push_back(fmt::format("upgrade {}: an old {}", i + 1, anomaly));
  for (const auto& name : left) result.push_back("left behind by the application, and killed: " + name);
  return result;
}

}  // namespace liveswap::verify
