#include <fmt/format.h>

#include <array>

#include "page.hpp"

namespace page {
namespace {

constexpr std::array all_connections = {8, 32, 128};

Json of(const std::string& way, int connections) { return {{"way", way}, {"connections", connections}}; }

void add_throughput(Page& page, const Results& results, const std::string& way, const std::string& title) {
  Table rates({"requests a second, " + title, "8 connections", "32", "128", "32, beside the bare server",
               "32, CPU of the busiest process"});
  Bars plot{"Throughput beside the bare server in the same mode, " + title,
            "ratio",
            {},
            {{"8 connections", {}}, {"32", {}}, {"128", {}}},
            false,
            1.0};
  for (const Json& program : results.measured()) {
    std::vector<std::string> cells = {program["title"]};
    plot.rows.push_back(program["title"]);
    for (std::size_t i = 0; i < all_connections.size(); ++i) {
      const Json where = of(way, all_connections[i]);
      cells.push_back(shown(median(results.numbers("steady", program["name"], "/rate", where))));
      plot.series[i].values.push_back(median(results.ratios_to_bare(program, "steady", "/rate", where)));
    }
    cells.push_back(with_range(results.ratios_to_bare(program, "steady", "/rate", of(way, 32))));
    cells.push_back(shown(median(results.numbers("steady", program["name"], "/busiest", of(way, 32)))));
    rates.add(cells);
  }
  page.text += rates.text() + "\n";
  page.add_plot("throughput-" + way, plot);
}

void add_latency(Page& page, const Results& results, const std::string& way, const std::string& title) {
  Table table({"latency in ms, " + title + ": p50 / p99", "8 connections", "32", "128"});
  for (const Json& program : results.measured()) {
    std::vector<std::string> cells = {program["title"]};
    for (const int connections : all_connections) {
      const auto ms = [&](const char* place) {
        auto value = median(results.numbers("steady", program["name"], place, of(way, connections)));
        if (value) *value /= 1000;
        return shown(value);
      };
      cells.push_back(ms("/p50_us") + " / " + ms("/p99_us"));
    }
    table.add(cells);
  }
  page.text += table.text() + "\n";
}

std::optional<double> divided(std::optional<double> value, double by) {
  if (value) *value /= by;
  return value;
}

}  // namespace

void add_steady(Page& page, const Results& results) {
  page.text += "## Steady throughput and latency\n\n";
  page.text += paragraph(
      "All programs run beside each other and take turns of 20 ms in changing order (`test/bench/beside`); a "
      "connection sends its next request when the last one is answered. The ratio is that to the bare server "
      "with the same kind of listening socket in the same round. For programs with a server of their own it "
      "compares the servers, and says nothing about the hand-over. The client takes one core: on a machine "
      "of two, a "
      "server whose connections all sit in one worker is the fastest, so a ratio above 1 on kept connections "
      "may be "
      "luck of the deal. Where two processes share the work, the share of the busiest in the CPU of all is "
      "0.5.");
  for (const Json& program : results.measured())
    for (const Json& record : results.records("steady", program["name"]))
      if (record.contains("failed"))
        page.text += paragraph(fmt::format("{}, {} {} connections: failed: {}.",
                                           std::string(program["title"]), record["connections"].dump(),
                                           std::string(record["way"]), std::string(record["failed"])));
  add_throughput(page, results, "keep-alive", "kept connections");
  add_throughput(page, results, "new-connections", "a connection for each request");
  add_latency(page, results, "keep-alive", "kept connections");
  add_latency(page, results, "new-connections", "a connection for each request");
}

void add_memory_and_cpu(Page& page, const Results& results) {
  page.text += "## Memory and CPU\n\n";
  page.text += paragraph(
      "Memory is the proportional share (PSS) of the first process (the master, the primary, the daemon) and "
      "of all "
      "others together, before the first load, while all programs run beside each other: what runs several "
      "times, "
      "like liveswap, node and the bare server, shares pages, and takes more when it is alone. The CPU of "
      "the first "
      "process is that during the steady load above, for 1,000 requests, and while nobody asks; wake-ups are "
      "voluntary context switches.");
  Table table({"program", "first process, MiB", "others, MiB (number)",
               "CPU of the first process for 1,000 requests, ms", "idle: CPU, ms a second",
               "wake-ups a second: first, others"});
  Bars plot{"Memory (PSS) at rest",
            "MiB (logarithmic)",
            {},
            {{"first process", {}}, {"others together", {}}},
            true,
            {}};
  for (const Json& program : results.measured()) {
    const std::string name = program["name"];
    const auto idle = [&](const char* place) { return median(results.numbers("idle", name, place)); };
    const auto first = divided(idle("/master_pss_kib"), 1024),
               others = divided(idle("/workers_pss_kib"), 1024);
    table.add({program["title"], shown(first),
               fmt::format("{} ({:.0f})", shown(others), idle("/processes").value_or(0)),
               shown(median(results.numbers("steady", name, "/master_ms_1000"))),
               shown(idle("/master_cpu_ms_s")),
               shown(idle("/master_wakeups_s")) + ", " + shown(idle("/worker_wakeups_s"))});
    plot.rows.push_back(program["title"]);
    plot.series[0].values.push_back(first);
    plot.series[1].values.push_back(others);
  }
  page.text += table.text() + "\n";
  page.add_plot("memory", plot);
}

}  // namespace page
