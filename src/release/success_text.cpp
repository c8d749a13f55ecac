#include "release/success_text.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <vector>

#include "release/family.hpp"

namespace liveswap::release {
namespace {

using Json = nlohmann::json;

constexpr std::size_t short_id = 8;

const Json& member(const Json& object, const char* name) {
  static const Json none;
  const auto found = object.is_object() ? object.find(name) : object.end();
  return object.is_object() && found != object.end() ? *found : none;
}

std::string name_of(const Json& release) {
  const Json& path = member(release, "path");
  const Json& id = member(release, "id");
  if (!path.is_string()) return "";
  const std::string name = base_name(path.get<std::string>());
  return id.is_string() ? fmt::format("{} ({})", name, id.get<std::string>().substr(0, short_id)) : name;
}

std::string lasting(std::int64_t ms) {
  if (ms < 1000) return fmt::format("{} ms", ms);
  return ms < 60'000 ? fmt::format("{:.1f} s", static_cast<double>(ms) / 1000) : fmt::format("{} s", ms / 1000);
}

// Until the last slot served: from then on the old workers only leave.
std::string after(const Json& receipt) {
  const Json& phases = member(receipt, "phases");
  if (!phases.is_array()) return "";
  for (const Json& phase : phases)
    if (member(phase, "phase") == "leaving" && member(phase, "at_ms").is_number_integer())
      return " after " + lasting(member(phase, "at_ms").get<std::int64_t>());
  return "";
}

// Over all workers that have left. Some may not have been counted.
struct Tally {
  std::int64_t drained = 0, killed = 0, lost = 0;
  bool drained_more = false;  // of a worker that left by itself: how many it had
  bool cut_more = false;      // of one that did not

  void add(const Json& worker) {
    const auto count = [&](const char* name, std::int64_t& sum) {
      const Json& found = member(worker, name);
      if (found.is_number_integer()) sum += found.get<std::int64_t>();
      return found.is_number_integer();
    };
    if (!member(worker, "gone_ms").is_number()) return;
    const bool clean = member(worker, "end") == "clean";
    const bool known = count("drained", drained);
    drained_more |= !known && clean && member(worker, "drain_ms").is_number();
    const bool killed_known = count("killed", killed);
    const bool lost_known = count("lost", lost);
    cut_more |= !killed_known || !lost_known;
  }
};

std::string plural(std::int64_t count) { return fmt::format("{} connection{}", count, count == 1 ? "" : "s"); }

std::string connections(const Json& receipt) {
  Tally tally;
  const Json& slots = member(receipt, "slots");
  if (!slots.is_array()) return "";
  for (const Json& slot : slots)
    if (member(slot, "workers").is_array())
      for (const Json& worker : member(slot, "workers")) tally.add(worker);
  std::vector<std::string> parts;
  if (tally.drained > 0)
    parts.push_back((tally.drained_more ? "at least " : "") + plural(tally.drained) + " drained");
  else if (!tally.drained_more && tally.killed + tally.lost == 0 && !tally.cut_more)
    parts.push_back("no connections to drain");
  if (tally.killed > 0) parts.push_back(plural(tally.killed) + " cut by force");
  if (tally.lost > 0) parts.push_back(plural(tally.lost) + " lost with a worker that died");
  if (tally.cut_more) parts.push_back("those of a worker that did not leave by itself are not known");
  if (tally.killed + tally.lost == 0 && !tally.cut_more) parts.push_back(parts.empty() ? "no connection lost" : "none lost");
  return fmt::format("; {}", fmt::join(parts, ", "));
}

}  // namespace

std::string success_text(const Json& receipt, const std::string& words) {
  const std::string from = name_of(member(receipt, "from")), to = name_of(member(receipt, "to"));
  const auto end = std::min(words.find(';'), words.size());
  const std::string names = from.empty() || to.empty() ? to : from + " → " + to;
  return fmt::format("{}{}{}{}{}{}", names, names.empty() ? "" : ": ", words.substr(0, end), after(receipt),
                     connections(receipt), words.substr(end));
}

}  // namespace liveswap::release
