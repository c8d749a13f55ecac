#include "cli/timeline.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <string_view>
#include <vector>

#include "cli/duration_text.hpp"
#include "cli/fields.hpp"
#include "cli/printable.hpp"
#include "cli/time_scale.hpp"

namespace liveswap::cli {
namespace {

constexpr std::size_t most_slots = 24;
constexpr std::size_t narrow = 72;  // minimum width for showing pids
constexpr std::size_t least_picture = 20;
constexpr std::size_t most_label = 20;  // maximum width of each part of a label; a master writes at most 8
                                        // columns
constexpr std::int64_t latest = std::int64_t{1} << 53;

constexpr std::string_view red = "\x1b[1;31m";
constexpr std::string_view off = "\x1b[0m";

struct Mark {
  char glyph;
  std::string_view meaning;
};

// In the order of the legend.
constexpr char starting = '.', old_code = '=', new_code = '#', back_again = '+', draining = '-',
               has_left = ']', forced = 'x', crashed = '!';
constexpr Mark marks[] = {{starting, "starting"},     {old_code, "old code"},
                          {new_code, "new code"},     {back_again, "old code again"},
                          {draining, "draining"},     {has_left, "left"},
                          {forced, "ended by force"}, {crashed, "failed or crashed"}};

struct Row {
  std::string slot, role, pid;
  std::string cells;
  std::string_view colour;
};

std::int64_t moment(const Json& object, const char* name, std::int64_t otherwise) {
  return std::clamp<std::int64_t>(number(object, name).value_or(otherwise), 0, latest);
}

bool is_trouble(const Json& worker) {
  const std::string end = text(worker, "end");
  return end == "forced" || end == "crashed";
}

char serving(const std::string& role) {
  return role == "new" ? new_code : role == "back" ? back_again : old_code;
}

std::string_view colour_of(const std::string& role) {
  return role == "new" ? "\x1b[32m" : role == "back" ? "\x1b[33m" : "\x1b[36m";
}

// Slots with problems first, then the first others, up to the maximum; in the order of the receipt.
std::vector<const Json*> shown_slots(const Json& receipt) {
  const Json& slots = list(receipt, "slots");
  const auto troubled = [](const Json& slot) {
    const Json& workers = list(slot, "workers");
    return std::any_of(workers.begin(), workers.end(), is_trouble);
  };
  std::set<std::size_t> chosen;
  for (const bool wanted : {true, false})
    for (std::size_t i = 0; i < slots.size() && chosen.size() < most_slots; ++i)
      if (troubled(slots[i]) == wanted) chosen.insert(i);
  std::vector<const Json*> result;
  for (const std::size_t i : chosen) result.push_back(&slots[i]);
  return result;
}

TimeScale scale_of(const Json& receipt, const std::vector<const Json*>& slots, std::size_t width) {
  std::vector<TimeScale::Phase> phases;
  for (const Json& phase : list(receipt, "phases"))
    phases.push_back({text(phase, "phase"), moment(phase, "at_ms", 0)});
  std::vector<std::int64_t> moments;
  for (const Json* slot : slots)
    for (const Json& worker : list(*slot, "workers"))
      for (const char* name : {"spawned_ms", "ready_ms", "drain_ms", "gone_ms"})
        if (number(worker, name)) moments.push_back(moment(worker, name, 0));
  return {std::move(phases), moments, moment(receipt, "length_ms", 0), width};
}

// Fills the row up to the column of each change in turn. If two changes share a column, only the later is
// visible.
std::string cells_of(const Json& worker, const TimeScale& scale, std::size_t width) {
  const auto role = text(worker, "role");
  const bool was_there = !number(worker, "spawned_ms");
  const auto column = [&](const char* name, std::size_t otherwise) {
    const auto found = number(worker, name);
    return found ? scale.column(std::clamp<std::int64_t>(*found, 0, latest)) : otherwise;
  };
  const std::size_t end = column("gone_ms", width);
  const std::size_t drain = std::min(column("drain_ms", end), end);
  const std::size_t begin = std::min(column("spawned_ms", 0), drain);
  const std::size_t ready = std::min(column("ready_ms", was_there ? begin : drain), drain);
  std::string cells(width, ' ');
  const auto fill = [&](std::size_t from, std::size_t to, char glyph) {
    for (std::size_t i = from; i < to; ++i) cells[i] = glyph;
  };
  fill(begin, ready, starting);
  fill(ready, drain, serving(role));
  fill(drain, end, draining);
  if (end < width) {
    const std::string how = text(worker, "end");
    cells[end] = how == "forced" ? forced : how == "crashed" ? crashed : has_left;
  }
  return cells;
}

std::string painted(const Row& row, bool colour) {
  std::string cells = row.cells;
  cells.erase(cells.find_last_not_of(' ') + 1);
  if (!colour || cells.empty()) return cells;
  std::string result(row.colour);
  for (const char cell : cells)
    result += cell == forced || cell == crashed ? fmt::format("{}{}{}{}", red, cell, off, row.colour)
                                                : std::string(1, cell);
  return result + std::string(off);
}

// Name and length of each phase, above its first column.
std::string heading(const Json& receipt, const TimeScale& scale, const std::string& indent) {
  const Json& phases = list(receipt, "phases");
  std::string names = indent, lengths = indent;
  for (std::size_t i = 0; i < scale.phases().size() && phases.size() == scale.phases().size(); ++i) {
    const auto& phase = scale.phases()[i];
    const std::size_t room = phase.columns - 1;
    names += fmt::format("|{:<{}}", phase.name.substr(0, room), room);
    const std::string length = time(phases[i], "length_ms");
    lengths += fmt::format("|{:<{}}", length.size() <= room ? length : "", room);
  }
  const auto line = [](std::string text) { return text.erase(text.find_last_not_of(' ') + 1) + "\n"; };
  return names == indent ? "" : line(names) + line(lengths);
}

std::string legend(const std::vector<Row>& rows, std::size_t width) {
  std::string lines, line;
  for (const auto& [glyph, meaning] : marks) {
    const char wanted = glyph;
    if (std::none_of(rows.begin(), rows.end(),
                     [&](const Row& row) { return row.cells.find(wanted) != std::string::npos; }))
      continue;
    const std::string entry = fmt::format("{} {}", glyph, meaning);
    if (!line.empty() && line.size() + 3 + entry.size() > width) lines += std::exchange(line, "") + "\n";
    line += (line.empty() ? "" : "   ") + entry;
  }
  return lines + line + "\n";
}

std::vector<Row> labels_of(const std::vector<const Json*>& slots, bool with_pids) {
  std::vector<Row> rows;
  for (const Json* slot : slots) {
    std::string name = cut("slot " + text(*slot, "slot"), most_label);
    for (const Json& worker : list(*slot, "workers")) {
      const std::string role = cut(text(worker, "role"), most_label);
      const std::string pid = with_pids ? cut(text(worker, "pid"), most_label) : "";
      rows.push_back({std::exchange(name, ""), role, pid, "", colour_of(role)});
    }
  }
  return rows;
}

}  // namespace

std::string timeline(const Json& receipt, const Screen& screen) {
  const auto slots = shown_slots(receipt);
  auto rows = labels_of(slots, screen.width >= narrow);
  if (rows.empty()) return "";
  std::size_t slot_width = 0, role_width = 0, pid_width = 0;
  for (const Row& row : rows) {
    slot_width = std::max(slot_width, row.slot.size());
    role_width = std::max(role_width, row.role.size());
    pid_width = std::max(pid_width, row.pid.size());
  }
  const std::size_t label = slot_width + 2 + role_width + (pid_width > 0 ? 1 + pid_width : 0) + 1;
  const std::size_t width = std::max(screen.width > label ? screen.width - label : 0, least_picture);
  const TimeScale scale = scale_of(receipt, slots, width);

  std::string picture = heading(receipt, scale, std::string(label, ' '));
  std::size_t at = 0;
  for (const Json* slot : slots)
    for (const Json& worker : list(*slot, "workers")) {
      Row& row = rows[at++];
      row.cells = cells_of(worker, scale, width);
      const std::string pid = pid_width > 0 ? fmt::format(" {:>{}}", row.pid, pid_width) : "";
      picture += fmt::format("{:<{}}  {:<{}}{} {}\n", row.slot, slot_width, row.role, role_width, pid,
                             painted(row, screen.colour));
    }
  const std::size_t all = list(receipt, "slots").size();
  if (all > slots.size())
    picture += fmt::format("{} of {} slots; --json has all of them\n", slots.size(), all);
  return picture + "\n" + legend(rows, screen.width);
}

}  // namespace liveswap::cli
