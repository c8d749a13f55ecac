#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "page.hpp"

namespace page {
namespace {

// What was measured under one name, in the order of the results: by N, the median times.
struct Measured {
  std::map<double, std::vector<double>> ms, bare_ms;
  std::string bare;  // what the bare thing is
};

std::vector<std::pair<std::string, Measured>> by_name(const Json& records) {
  std::vector<std::pair<std::string, Measured>> found;
  for (const Json& record : records) {
    const std::string name = record["what"];
    auto at = std::find_if(found.begin(), found.end(), [&](const auto& one) { return one.first == name; });
    if (at == found.end()) at = found.insert(found.end(), {name, {}});
    at->second.bare = record["bare"];
    at->second.ms[record["n"]].push_back(record["ms"]);
    at->second.bare_ms[record["n"]].push_back(record["bare_ms"]);
  }
  return found;
}

// They may be made anew without the rest of the page.
std::string made(const Json& json) {
  const auto found = json.find("micro_made");
  if (found == json.end()) return "";
  return fmt::format(" Made on {} with the code of commit {}.", (*found)["date"].get<std::string>(),
                     (*found)["commit"].get<std::string>());
}

void add_line(Lines& plot, const std::string& name, const std::map<double, std::vector<double>>& by_n,
              bool dashed) {
  Line line{name, {}, plot.lines.size(), dashed};
  for (const auto& [n, values] : by_n) line.points.emplace_back(n, *median(values));
  // Two things may have the same bare counterpart.
  for (const Line& other : plot.lines)
    if (other.points == line.points) return;
  plot.lines.push_back(line);
}

}  // namespace

void add_micro(Page& page, const Results& results) {
  const auto all = by_name(results.json()["micro"]);
  if (all.empty()) return;
  page.text += "## Micro-benchmarks\n\n";
  page.text += paragraph(
      "`test/bench/micro`: what liveswap does, and the bare thing in the same run, one after the other in "
      "turns; "
      "medians, in milliseconds. Commands count from the start of the process `liveswap` to its end. The "
      "workers are by "
      "the contract with an explicit `liveswap_ready()`, without load. A benchmark that failed is missing "
      "here." +
      made(results.json()));
  Table table({"what", "N", "liveswap", "bare", "ratio", "the bare thing"});
  Lines plot{"Growth with the number of workers", "workers", "milliseconds", {}};
  for (const auto& [name, measured] : all) {
    for (const auto& [n, values] : measured.ms) {
      const double ms = *median(values), bare = *median(measured.bare_ms.at(n));
      table.add({name, fmt::format("{:.0f}", n), shown(ms), shown(bare), shown(ms / bare), measured.bare});
    }
    if (measured.ms.size() < 2) continue;
    add_line(plot, name, measured.ms, false);
    add_line(plot, "  bare: " + measured.bare, measured.bare_ms, true);
  }
  page.text += table.text() + "\n";
  if (!plot.lines.empty()) page.add_plot("growth", plot);
}

}  // namespace page
