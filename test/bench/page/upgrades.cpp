#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "page.hpp"

namespace page {
namespace {

// Of each upgrade the value under that name, with one of the two loads. Without those to whose version no
// answer came.
std::vector<double> times(const Results& results, const Json& program, const std::string& load,
                          const std::string& name) {
  std::vector<double> found;
  for (const Json& record : results.records("upgrades", program["name"], {{"load", load}}))
    for (const Json& upgrade : record["orders"])
      if (upgrade[name].is_number()) found.push_back(std::max(upgrade[name].get<double>(), 0.0));
  return found;
}

// How long both versions answered new connections.
std::vector<double> skews(const Results& results, const Json& program) {
  std::vector<double> firsts = times(results, program, "new", "first_new_ms");
  const std::vector<double> lasts = times(results, program, "new", "last_old_ms");
  firsts.resize(std::min(firsts.size(), lasts.size()));
  for (std::size_t i = 0; i < firsts.size(); ++i) firsts[i] = std::max(lasts[i] - firsts[i], 0.0);
  return firsts;
}

double sum(const std::vector<double>& values) { return std::accumulate(values.begin(), values.end(), 0.0); }

// "3 of 5,400 (reset 2, refused 1)"
std::string failures(const Results& results, const Json& program, const std::string& what, const Json& where,
                     const std::string& place) {
  static const std::vector<std::string> classes = {"refused",   "reset", "truncated",
                                                   "timed out", "wrong", "other"};
  const double attempts = sum(results.numbers(what, program["name"], place + "/attempts", where));
  const double failed = sum(results.numbers(what, program["name"], place + "/failures", where));
  std::string shown_classes;
  for (const std::string& name : classes) {
    const double count = sum(results.numbers(what, program["name"], place + "/classes/" + name, where));
    if (count > 0)
      shown_classes += fmt::format("{}{} {:.0f}", shown_classes.empty() ? "" : ", ", name, count);
  }
  if (attempts == 0) return "–";
  return fmt::format("{}{:.0f} of {:.0f}{}{}", failed == 0 ? "**" : "", failed, attempts,
                     failed == 0 ? "**" : "", shown_classes.empty() ? "" : " (" + shown_classes + ")");
}

void add_failures(Page& page, const Results& results) {
  page.text += "### Failed requests\n\n";
  page.text += paragraph(
      "No client repeats a request. Kept connections are 32. The last column is another upgrade, ordered "
      "while "
      "8 requests are answered that take one to two seconds.");
  Table table({"program", "new connections", "kept connections", "slow requests in flight"});
  for (const Json& program : results.measured())
    table.add({program["title"], failures(results, program, "upgrades", {{"load", "new"}}, "/during"),
               failures(results, program, "upgrades", {{"load", "kept"}}, "/during"),
               failures(results, program, "slow", Json::object(), "")});
  page.text += table.text() + "\n";
}

void add_times(Page& page, const Results& results) {
  page.text += "### How long an upgrade takes\n\n";
  page.text += paragraph(
      "Milliseconds from the order (the start of the command, or the signal) to the first answer of the new "
      "version and to the last answer of the old one, and for how long both answer new connections. A kept "
      "connection "
      "that is used may stay with the old version until it is idle or told to close. Only some of the "
      "commands wait "
      "for the end of the upgrade: liveswap, PM2, and the two bare ways.");
  Table table({"program", "first new answer", "last old answer, new connections", "kept connections",
               "both answer new connections", "end of the command"});
  Bars plot{"From the order to the last answer of the old version",
            "milliseconds (logarithmic)",
            {},
            {{"new connections", {}}, {"kept connections", {}}},
            true,
            {}};
  for (const Json& program : results.measured()) {
    const auto of = [&](const char* load, const char* name) { return times(results, program, load, name); };
    table.add({program["title"], with_range(of("new", "first_new_ms")), with_range(of("new", "last_old_ms")),
               with_range(of("kept", "last_old_ms")), with_range(skews(results, program)),
               shown(median(of("new", "command_ms")))});
    plot.rows.push_back(program["title"]);
    plot.series[0].values.push_back(median(of("new", "last_old_ms")));
    plot.series[1].values.push_back(median(of("kept", "last_old_ms")));
  }
  page.text += table.text() + "\n";
  page.add_plot("last-old-answer", plot);
}

std::optional<double> ms(const Results& results, const Json& program, const std::string& load,
                         const std::string& place) {
  auto value = median(results.numbers("upgrades", program["name"], place, {{"load", load}}));
  if (value) *value /= 1000;
  return value;
}

void add_latencies_of(Page& page, const Results& results, const std::string& load, const std::string& title) {
  Table table({"program, " + title, "p50", "p99", "p99.9", "max"});
  Bars plot{"p99 of the answers, " + title,
            "milliseconds (logarithmic)",
            {},
            {{"steady", {}}, {"during upgrades", {}}},
            true,
            {}};
  for (const Json& program : results.measured()) {
    std::vector<std::string> cells = {program["title"]};
    for (const char* part : {"p50", "p99", "p99.9", "max"})
      cells.push_back(shown(ms(results, program, load, fmt::format("/before/{}", part))) + " / " +
                      shown(ms(results, program, load, fmt::format("/during/{}", part))));
    table.add(cells);
    plot.rows.push_back(program["title"]);
    plot.series[0].values.push_back(ms(results, program, load, "/before/p99"));
    plot.series[1].values.push_back(ms(results, program, load, "/during/p99"));
  }
  page.text += table.text() + "\n";
  page.add_plot("p99-" + load, plot);
}

void add_capacity(Page& page, const Results& results) {
  page.text += "### What an upgrade takes of the throughput\n\n";
  page.text += paragraph(
      "32 clients keep all cores busy, each request on a connection of its own; then an upgrade is ordered. "
      "The "
      "lowest throughput of 50 ms after the order, as a part of that before; and the work that was lost in "
      "the "
      "second after the order, as milliseconds of the steady throughput.");
  Table table(
      {"program", "requests a second before", "lowest 50 ms", "lost, ms", "failed requests", "command, ms"});
  Bars plot{"The lowest throughput of 50 ms during an upgrade",
            "part of the steady throughput",
            {},
            {{"", {}}},
            false,
            1.0};
  for (const Json& program : results.measured()) {
    const auto of = [&](const char* place) { return results.numbers("capacity", program["name"], place); };
    table.add({program["title"], shown(median(of("/rate"))), with_range(of("/lowest")),
               with_range(of("/lost_ms")),
               of("/failures").empty() ? "–" : fmt::format("{:.0f}", sum(of("/failures"))),
               shown(median(of("/command_ms")))});
    plot.rows.push_back(program["title"]);
    plot.series[0].values.push_back(median(of("/lowest")));
  }
  page.text += table.text() + "\n";
  page.add_plot("capacity", plot);
}

}  // namespace

void add_upgrades(Page& page, const Results& results) {
  page.text += "## Upgrades under load\n\n";
  page.text += paragraph(fmt::format(
      "Two open-loop clients (`liveswap-load`), each {0} requests a second: one with a connection for each "
      "request, one with kept connections. {1} upgrades in each round, one after the other.",
      results.json()["rate"].dump(), results.json()["upgrades"].dump()));
  add_failures(page, results);
  add_times(page, results);
  page.text += "### What clients notice\n\n";
  page.text += paragraph(
      "Milliseconds from the time at which a request was meant to be sent: steady / during upgrades.");
  add_latencies_of(page, results, "new", "a connection for each request");
  add_latencies_of(page, results, "kept", "kept connections");
  add_capacity(page, results);
}

}  // namespace page
