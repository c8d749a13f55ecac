#include "cli/worker_table.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <vector>

#include "cli/fields.hpp"
#include "cli/printable.hpp"
#include "cli/table.hpp"
#include "cli/wrapped.hpp"

namespace liveswap::cli {
namespace {

constexpr std::size_t worker_id_length = 8;
constexpr std::size_t narrowest_row = 20;

std::string short_release(const Json& worker) {
  const Json& id = member(worker, "id");
  return id.is_string() && !id.empty() ? text(worker, "id").substr(0, worker_id_length) : "-";
}

// "12 MiB", "840 KiB".
std::string bytes_text(std::int64_t bytes) {
  return bytes < (1 << 20) ? fmt::format("{} KiB", bytes >> 10) : fmt::format("{} MiB", bytes >> 20);
}

// null or missing: not counted.
std::string counted(const Json& worker, const char* name, const char* otherwise) {
  return number(worker, name) ? text(worker, name) : otherwise;
}

std::vector<std::string> row_of(const Json& slot, const Json& worker) {
  const auto rss = number(worker, "rss");
  return {text(slot, "slot"),
          text(worker, "pid"),
          text(worker, "state"),
          text(worker, "generation"),
          short_release(worker),
          time(worker, "uptime_ms"),
          rss ? bytes_text(*rss) : "-",
          counted(worker, "connections", "?"),
          counted(worker, "requests", "-"),
          counted(worker, "failed", "-"),
          text(slot, "restarts")};
}

using Rows = std::vector<std::vector<std::string>>;

Rows rows_of(const Json& status) {
  Rows rows{{"SLOT", "PID", "STATE", "GEN", "RELEASE", "UPTIME", "MEMORY", "CONN", "REQUESTS", "FAILED",
             "RESTARTS"}};
  for (const Json& slot : list(status, "slots")) {
    const Json& workers = list(slot, "workers");
    if (workers.empty())
      rows.push_back(
          {text(slot, "slot"), "-", "down", "-", "-", "-", "-", "-", "-", "-", text(slot, "restarts")});
    for (const Json& worker : workers) rows.push_back(row_of(slot, worker));
  }
  return rows;
}

// For narrow screens: "slot 0  pid 4711, ready, generation 2, release 3fa9c1d2, up 7.0 s, …".
std::string paragraph_of(const std::vector<std::string>& row, std::size_t width) {
  const std::string label = fmt::format("slot {}", row[0]);
  std::string line = "no worker, down";
  if (row[1] != "-")
    line =
        fmt::format("pid {}, {}, generation {}, release {}, up {}", row[1], row[2], row[3], row[4], row[5]);
  if (row[6] != "-") line += ", " + row[6];
  if (row[1] != "-") line += fmt::format(", connections {}", row[7]);
  if (row[8] != "-") line += fmt::format(", requests {}, failed {}", row[8], row[9]);
  line += fmt::format(", restarts {}", row[10]);
  return fmt::format("{:<9}", label) + wrapped(line, {width, 9, true}) + "\n";
}

// The path of each release id in the table.
std::string releases(const Json& status, const Screen& screen) {
  std::map<std::string, std::string> paths;
  for (const Json& slot : list(status, "slots"))
    for (const Json& worker : list(slot, "workers"))
      if (short_release(worker) != "-") paths[short_release(worker)] = text(worker, "release");
  std::string lines;
  if (paths.size() < 2) return lines;
  for (const auto& [id, path] : paths)
    lines += fmt::format("release {:<{}}  ", id, worker_id_length) +
             wrapped(path, {screen.width, worker_id_length + 10, screen.terminal}) + "\n";
  return lines;
}

}  // namespace

std::string worker_table(const Json& status, const Screen& screen) {
  const Rows rows = rows_of(status);
  std::string table, paragraphs;
  for (const std::size_t gap : {2, 1}) {
    const auto lines = lines_of_table(rows, "rrlrlrrrrrr", gap);
    const auto fits = [&](const std::string& line) {
      return !screen.terminal || columns(line) <= screen.width;
    };
    if (!table.empty() || !std::all_of(lines.begin(), lines.end(), fits)) continue;
    for (const auto& line : lines) table += line + "\n";
  }
  for (auto row = rows.begin() + 1; table.empty() && row != rows.end(); ++row)
    paragraphs += paragraph_of(*row, std::max(screen.width, narrowest_row));
  const std::string below = releases(status, screen);
  table += paragraphs;
  return below.empty() ? table : table + "\n" + below;
}

}  // namespace liveswap::cli
