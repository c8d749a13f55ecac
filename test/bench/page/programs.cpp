#include <fmt/format.h>

#include <algorithm>

#include "page.hpp"

namespace page {
namespace {

std::string text_of(const Json& value) { return value.is_string() ? value.get<std::string>() : value.dump(); }

int rounds_of(const Json& json) {
  int most = 0;
  for (const Json& record : json["records"]) most = std::max(most, record["round"].get<int>());
  return most;
}

std::string where_and_when(const Json& json) {
  const Json& machine = json["machine"];
  return paragraph(fmt::format(
      "Made by `{}` on {} with the code of commit {}; the values are in "
      "[performance.json](performance.json). Do not "
      "edit "
      "this page: change `test/bench/page`. The machine: {} cores ({}), {} GiB, {}, Linux {}; clients and "
      "servers share it; the load average before was {} (above 1 other work took part of the cores; compare "
      "the programs with each other then, not with other days). Rounds: {}, and in each the programs are "
      "measured "
      "in another order. A figure is the "
      "median of the rounds, with the lowest and the highest in brackets where they are shown.",
      text_of(json["command"]), text_of(json["date"]), text_of(json["commit"]), text_of(machine["cores"]),
      text_of(machine["cpu"]), text_of(machine["memory_gib"]), text_of(machine["system"]),
      text_of(machine["kernel"]), text_of(machine["load"]), rounds_of(json)));
}

std::string mode_of(const Json& program) {
  return program["mode"] == "shared" ? "one for all workers" : "SO_REUSEPORT, one for each worker";
}

}  // namespace

void add_programs(Page& page, const Results& results) {
  page.text += "# Performance\n\n" + where_and_when(results.json());
  page.text += "## What is compared\n\n";
  page.text += paragraph(
      "All programs serve one short answer with " + text_of(results.json()["workers"]) +
      " workers (processes; HAProxy: threads). The bare server, Server::Starter and liveswap (except with "
      "node) run "
      "the same small epoll server, `test/bench/peer/server.c`. nginx, HAProxy and Apache answer by "
      "themselves, and their upgrade is a reload of the configuration, by which new workers start; they do "
      "not load another program. uWSGI and gunicorn run the same Python application, PM2, node's cluster and "
      "liveswap with node the same script. Each is set up as its recipe in `test/bench/peer/recipes` says. "
      "liveswap with a server as it is runs with `--keepalive migrate --keepalive-grace 10ms`: the kept "
      "connections are never idle for a second, the default grace, and would stay with the old worker until "
      "the drain limit.");
  Table table({"program", "version", "listening socket"});
  for (const Json& program : results.measured())
    table.add({program["title"], program["version"], mode_of(program)});
  for (const Json& program : results.left_out())
    table.add({program["title"], "not measured: " + text_of(program["reason"]), ""});
  page.text += table.text() + "\n";
  for (const Json& program : results.measured())
    for (const Json& failed : results.records("failed", program["name"]))
      page.text +=
          paragraph(fmt::format("{}, round {}: not measured to the end: `{}`", text_of(program["title"]),
                                text_of(failed["round"]), text_of(failed["reason"])));
}

}  // namespace page
