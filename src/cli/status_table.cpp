#include "cli/status_table.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <vector>

#include "cli/duration_text.hpp"
#include "cli/shown.hpp"

namespace liveswap::cli {
namespace {

using Json = nlohmann::json;

constexpr std::size_t column_count = 8;
using Row = std::array<std::string, column_count>;
constexpr std::array<bool, column_count> is_number{true, true, false, true, true, true, true, false};

const Json& member(const Json& object, const char* name) {
  static const Json nothing;
  if (!object.is_object()) return nothing;
  const auto it = object.find(name);
  return it == object.end() ? nothing : *it;
}

// A list that is missing is an empty one.
const Json& list(const Json& object, const char* name) {
  static const Json nothing = Json::array();
  const Json& found = member(object, name);
  return found.is_array() ? found : nothing;
}

std::string text(const Json& object, const char* name) {
  const Json& found = member(object, name);
  if (found.is_string()) return shown(found.get_ref<const std::string&>());
  return found.is_number_integer() ? found.dump() : "?";
}

std::string time(const Json& object, const char* name) {
  const Json& found = member(object, name);
  return found.is_number_integer() ? duration_text(std::chrono::milliseconds(found.get<long long>())) : "?";
}

std::string head_line(const Json& status) {
  const std::string head = text(status, "head");
  return fmt::format("{} (generation {})", head.empty() ? "nothing committed yet" : head,
                     text(status, "generation"));
}

std::string listener_line(const Json& status) {
  std::string line;
  for (const Json& listener : list(status, "listeners")) {
    const auto name = text(listener, "name");
    line += (line.empty() ? "" : ", ") + name + "=" + text(listener, "address");
  }
  return line.empty() ? "none" : line + " (" + text(status, "listen_mode") + ")";
}

std::string upgrade_line(const Json& status) {
  const Json& last = member(status, "last_upgrade");
  return fmt::format("{}, {} ago: {}", text(last, "status"), time(last, "ago_ms"), text(last, "text"));
}

std::string top(const Json& status) {
  const Json& downtime = member(status, "zero_downtime");
  std::string lines = fmt::format("master        {}, pid {}, port {}, up {}, version {}\n",
                                  text(status, "state"), text(status, "pid"), text(status, "port"),
                                  time(status, "uptime_ms"), text(status, "version"));
  lines += fmt::format("HEAD          {}\n", head_line(status));
  lines += fmt::format("HEAD file     {}\n", text(status, "head_file"));
  lines += fmt::format("listeners     {}\n", listener_line(status));
  if (downtime.is_boolean() && !downtime.get<bool>())
    lines += "upgrades      kill and respawn: zero downtime is off\n";
  if (member(status, "last_upgrade").is_object())
    lines += fmt::format("last upgrade  {}\n", upgrade_line(status));
  return lines;
}

Row row_of(const Json& slot, const Json& worker) {
  const Json& open = member(worker, "connections");
  return {text(slot, "slot"),        text(worker, "pid"),
          text(worker, "state"),     text(worker, "generation"),
          time(worker, "uptime_ms"), open.is_null() ? "?" : text(worker, "connections"),
          text(slot, "restarts"),    text(worker, "release")};
}

std::vector<Row> rows_of(const Json& status) {
  std::vector<Row> rows{{"SLOT", "PID", "STATE", "GEN", "UPTIME", "CONNECTIONS", "RESTARTS", "RELEASE"}};
  for (const Json& slot : list(status, "slots")) {
    const Json& workers = list(slot, "workers");
    if (workers.empty())
      rows.push_back({text(slot, "slot"), "-", "down", "-", "-", "-", text(slot, "restarts"), "-"});
    for (const Json& worker : workers) rows.push_back(row_of(slot, worker));
  }
  return rows;
}

std::string lay_out(const std::vector<Row>& rows) {
  std::array<std::size_t, column_count> widths{};
  for (const Row& row : rows)
    for (std::size_t i = 0; i < column_count; ++i) widths[i] = std::max(widths[i], columns(row[i]));
  std::string lines;
  for (const Row& row : rows) {
    std::string line;
    for (std::size_t i = 0; i < column_count; ++i) {
      const std::string padding(widths[i] - columns(row[i]), ' ');
      line += (i ? "  " : "") + (is_number[i] ? padding + row[i] : row[i] + padding);
    }
    line.erase(line.find_last_not_of(' ') + 1);
    lines += line + "\n";
  }
  return lines;
}

}  // namespace

Result<std::string> status_table(std::string_view json) {
  const Json status = Json::parse(json, nullptr, false);
  if (!status.is_object()) return fail("the master's status is no JSON object");
  return top(status) + "\n" + lay_out(rows_of(status));
}

}  // namespace liveswap::cli
