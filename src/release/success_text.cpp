#include "release/success_text.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <vector>

#include "base/text.hpp"
#include "json/fields.hpp"
#include "release/family.hpp"

namespace liveswap::release {
namespace {

using Json = nlohmann::json;

std::string name_of(const Json& release) {
  const auto path = json::text(release, "path"), id = json::text(release, "id");
  if (!path) return "";
  const std::string name = base_name(*path);
  return id ? fmt::format("{} ({})", name, short_id(*id)) : name;
}

std::string lasting(std::int64_t ms) {
  if (ms < 1000) return fmt::format("{} ms", ms);
  return ms < 60'000 ? fmt::format("{:.1f} s", static_cast<double>(ms) / 1000)
                     : fmt::format("{} s", ms / 1000);
}

// Time until the last slot was ready; in the next phase, old workers only exit.
std::string after(const Json& receipt) {
  for (const Json& phase : json::list(receipt, "phases"))
    if (const auto at = json::number(phase, "at_ms"); at && json::text(phase, "phase") == "leaving")
      return " after " + lasting(*at);
  return "";
}

// Sums over all exited workers; some may lack counts.
struct Tally {
  std::int64_t drained = 0, killed = 0, lost = 0;
  bool drained_more = false;  // a worker that exited by itself lacks its count
  bool cut_more = false;      // one that did not, lacks its count

  void add(const Json& worker) {
    const auto count = [&](const char* name, std::int64_t& sum) {
      const auto found = json::number(worker, name);
      sum = json::add(sum, found.value_or(0));
      return found.has_value();
    };
    if (!json::number(worker, "gone_ms")) return;
    const bool clean = json::text(worker, "end") == "clean";
    const bool known = count("drained", drained);
    drained_more |= !known && clean && json::number(worker, "drain_ms").has_value();
    const bool killed_known = count("killed", killed);
    const bool lost_known = count("lost", lost);
    cut_more |= !killed_known || !lost_known;
  }
};

std::string connections(const Json& receipt) {
  Tally tally;
  if (!json::member(receipt, "slots").is_array()) return "";
  for (const Json& slot : json::list(receipt, "slots"))
    for (const Json& worker : json::list(slot, "workers")) tally.add(worker);
  std::vector<std::string> parts;
  if (tally.drained > 0)
    parts.push_back((tally.drained_more ? "at least " : "") + plural(tally.drained, "connection") +
                    " drained");
  else if (!tally.drained_more && tally.killed + tally.lost == 0 && !tally.cut_more)
    parts.push_back("no connections to drain");
  if (tally.killed > 0) parts.push_back(plural(tally.killed, "connection") + " killed by force");
  if (tally.lost > 0) parts.push_back(plural(tally.lost, "connection") + " lost with a worker that died");
  if (tally.cut_more) parts.push_back("those of a worker that did not leave by itself are not known");
  if (tally.killed + tally.lost == 0 && !tally.cut_more)
    parts.push_back(parts.empty() ? "no connection lost" : "none lost");
  return fmt::format("; {}", fmt::join(parts, ", "));
}

std::string left(const Json& receipt) {
  std::size_t count = 0;
  for (const Json& slot : json::list(receipt, "slots"))
    for (const Json& worker : json::list(slot, "workers"))
      for (const Json& one : json::list(worker, "left")) count += json::member(one, "ended") == false;
  if (count == 0) return "";
  return fmt::format(
      "; {} process{} that old workers have left may still accept connections: see the receipt", count,
      count == 1 ? "" : "es");
}

}  // namespace

std::string success_text(const Json& receipt, const std::string& words) {
  const std::string from = name_of(json::member(receipt, "from")), to = name_of(json::member(receipt, "to"));
  const auto end = std::min(words.find(';'), words.size());
  const std::string names = from.empty() || to.empty() ? to : from + " → " + to;
  return fmt::format("{}{}{}{}{}{}{}", names, names.empty() ? "" : ": ", words.substr(0, end), after(receipt),
                     connections(receipt), left(receipt), words.substr(end));
}

}  // namespace liveswap::release
