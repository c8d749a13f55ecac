#include "cli/status_table.hpp"

#include <fmt/format.h>

#include <vector>

#include "cli/fields.hpp"
#include "cli/table.hpp"

namespace liveswap::cli {
namespace {

std::string head_line(const Json& status) {
  const std::string head = text(status, "head");
  const Json& id = member(status, "release_id");
  const std::string release =
      id.is_string() && !id.empty() ? "release " + short_id(text(status, "release_id")) + ", " : "";
  return fmt::format("{} ({}generation {})", head.empty() ? "nothing committed yet" : head, release,
                     text(status, "generation"));
}

// What is under way: "rollback to /srv/app.so: baking, 12.0 s left, 1 of 4 slots ready, asked for 18.0 s ago
// by …".
std::string under_way_line(const Json& upgrade) {
  std::string line =
      fmt::format("{} to {}: {}", text(upgrade, "kind"), text(upgrade, "to"), text(upgrade, "phase"));
  if (number(upgrade, "left_ms")) line += fmt::format(", {} left", time(upgrade, "left_ms"));
  if (number(upgrade, "slots"))
    line += fmt::format(", {} of {} slots ready", text(upgrade, "slots_ready"), text(upgrade, "slots"));
  line += fmt::format(", since {}", time(upgrade, "elapsed_ms"));
  if (member(upgrade, "asked_by").is_string()) line += ", asked for by " + text(upgrade, "asked_by");
  return line;
}

std::string under_way(const Json& status) {
  std::string lines;
  if (const Json& upgrade = member(status, "upgrade"); upgrade.is_object()) {
    lines += fmt::format("under way     {}\n", under_way_line(upgrade));
    const std::string phase = text(upgrade, "phase");
    if (phase == "baking" || phase == "probation")
      lines += "              end it as passed: liveswap promote; revert it: liveswap abort\n";
  }
  if (const Json& queued = member(status, "queued"); queued.is_object())
    lines +=
        fmt::format("queued        {}, waiting for {}\n", text(queued, "to"), time(queued, "waiting_ms"));
  return lines;
}

std::string listener_line(const Json& status) {
  std::string line;
  for (const Json& listener : list(status, "listeners")) {
    const auto name = text(listener, "name"), address = text(listener, "address");
    // What an application binds itself is called by its address.
    line += (line.empty() ? "" : ", ") + (name == address ? address : name + "=" + address);
  }
  return line.empty() ? "none" : line + " (" + text(status, "listen_mode") + ")";
}

// Bytes, as "512 MiB".
std::string memory(const Json& status, const char* name) {
  const auto bytes = number(status, name);
  return bytes ? fmt::format("{} MiB", *bytes / (1 << 20)) : "?";
}

std::string upgrade_line(const Json& status) {
  const Json& last = member(status, "last_upgrade");
  const auto receipt = number(last, "receipt");
  return fmt::format("{}, {} ago: {}{}", text(last, "status"), time(last, "ago_ms"), headline(last, "text"),
                     receipt ? fmt::format(" (liveswap receipt {})", *receipt) : "");
}

std::string top(const Json& status) {
  const Json& downtime = member(status, "zero_downtime");
  std::string lines = fmt::format("master        {}, pid {}, port {}, up {}, version {}\n",
                                  text(status, "state"), text(status, "pid"), text(status, "port"),
                                  time(status, "uptime_ms"), text(status, "version"));
  lines += fmt::format("HEAD          {}\n", head_line(status));
  lines += fmt::format("HEAD file     {}\n", text(status, "head_file"));
  if (member(status, "target_note").is_string()) lines += fmt::format("target        {}\n", text(status, "target_note"));
  lines += fmt::format("listeners     {}\n", listener_line(status));
  if (downtime.is_boolean() && !downtime.get<bool>())
    lines += "upgrades      kill and respawn: zero downtime is off\n";
  if (number(status, "max_memory"))
    lines += fmt::format("memory        {} of {}\n", memory(status, "memory"), memory(status, "max_memory"));
  lines += under_way(status);
  if (member(status, "last_upgrade").is_object())
    lines += fmt::format("last upgrade  {}\n", upgrade_line(status));
  return lines;
}

using Rows = std::vector<std::vector<std::string>>;

std::vector<std::string> row_of(const Json& slot, const Json& worker) {
  const Json& open = member(worker, "connections");
  return {text(slot, "slot"),        text(worker, "pid"),
          text(worker, "state"),     text(worker, "generation"),
          time(worker, "uptime_ms"), open.is_null() ? "?" : text(worker, "connections"),
          text(slot, "restarts"),    text(worker, "release")};
}

Rows rows_of(const Json& status) {
  Rows rows{{"SLOT", "PID", "STATE", "GEN", "UPTIME", "CONNECTIONS", "RESTARTS", "RELEASE"}};
  for (const Json& slot : list(status, "slots")) {
    const Json& workers = list(slot, "workers");
    if (workers.empty())
      rows.push_back({text(slot, "slot"), "-", "down", "-", "-", "-", text(slot, "restarts"), "-"});
    for (const Json& worker : workers) rows.push_back(row_of(slot, worker));
  }
  return rows;
}

// The last failure of each slot, with what the worker wrote last.
std::string failures(const Json& status) {
  std::string lines;
  for (const Json& slot : list(status, "slots")) {
    const Json& failure = member(slot, "last_failure");
    if (!failure.is_object()) continue;
    lines += fmt::format("\nworker {} of generation {} failed {} ago: {}\n{}", text(failure, "pid"),
                         text(failure, "generation"), time(failure, "ago_ms"), headline(failure, "text"),
                         below_headline(failure, "text"));
  }
  return lines;
}

}  // namespace

Result<std::string> status_table(std::string_view json) {
  const Json status = Json::parse(json, nullptr, false);
  if (!status.is_object()) return fail("the master's status is no JSON object");
  return top(status) + "\n" + lay_out(rows_of(status), "rrlrrrrl") + failures(status);
}

}  // namespace liveswap::cli
