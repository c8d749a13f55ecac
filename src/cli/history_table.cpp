#include "cli/history_table.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "cli/fields.hpp"
#include "cli/printable.hpp"
#include "cli/table.hpp"
#include "cli/wrapped.hpp"

namespace liveswap::cli {
namespace {

constexpr std::size_t least_room = 28;  // minimum width of the last column; below, it moves to lines of its
                                        // own
constexpr std::size_t step = 4;         // indent of such lines
constexpr std::size_t full_id = 12, shorter_id = 8;

// How paths and ids are abbreviated.
struct Style {
  bool whole_paths;
  std::size_t id;
};

// "2026-11-22T23:17:58.042Z" without "T", milliseconds and "Z".
std::string when(const Json& receipt) {
  std::string started = text(receipt, "started");
  if (started.size() < 20 || started[10] != 'T') return started;
  started[10] = ' ';
  return started.substr(0, 19) + "Z";
}

// A refused upgrade has no release; its path is the requested one.
std::string path_of(const Json& receipt) {
  const Json& asked = member(member(receipt, "asked"), "value");
  if (member(receipt, "to").is_object()) return text(member(receipt, "to"), "path");
  if (asked.is_string() && !asked.get_ref<const std::string&>().empty())
    return text(member(receipt, "asked"), "value");
  return member(receipt, "from").is_object() ? text(member(receipt, "from"), "path") : "?";
}

std::string what(const Json& receipt, const Style& style) {
  std::string line = path_of(receipt);
  if (!style.whole_paths && !line.ends_with('/')) line.erase(0, line.rfind('/') + 1);
  const std::string reason = headline(receipt, "reason");
  return member(receipt, "reason").is_string() && !reason.empty() ? line + ": " + reason : line;
}

std::string id(const Json& receipt, const Style& style) {
  const Json& found = member(member(receipt, "to"), "id");
  return found.is_string() && !found.get_ref<const std::string&>().empty()
             ? text(member(receipt, "to"), "id").substr(0, style.id)
             : "-";
}

struct Table {
  std::vector<std::string> left;   // all columns but the last, padded to equal width
  std::vector<std::string> whats;  // the last column
  std::size_t left_width = 0;
  std::size_t width = 0;
};

Table table_of(const Json& receipts, const Style& style) {
  std::vector<std::vector<std::string>> rows{{"N", "STARTED", "KIND", "OUTCOME", "TOOK", "RELEASE"}};
  Table table{{}, {"WHAT"}};
  for (const Json& receipt : receipts) {
    rows.push_back({text(receipt, "number"), when(receipt), text(receipt, "kind"), text(receipt, "outcome"),
                    time(receipt, "length_ms"), id(receipt, style)});
    table.whats.push_back(what(receipt, style));
  }
  table.left = lines_of_table(rows, "rlllrl");
  std::size_t widest = 0;
  for (const auto& line : table.left) table.left_width = std::max(table.left_width, columns(line));
  for (const auto& line : table.whats) widest = std::max(widest, columns(line));
  table.width = table.left_width + 2 + widest;
  return table;
}

bool has_room(const Table& table, std::size_t width) { return table.left_width + 2 + least_room <= width; }

// Puts the last column beside the others, or on lines below them.
std::string shown_table(const Table& table, std::size_t width) {
  const bool beside = width == 0 || has_room(table, width);
  const std::size_t indent = beside ? table.left_width + 2 : std::min(step, width / 4);
  std::string lines;
  for (std::size_t i = 0; i < table.left.size(); ++i) {
    const std::string& left = table.left[i];
    const std::string what = wrapped(table.whats[i], {width, indent, true});
    if (beside) lines += left + std::string(indent - columns(left), ' ') + what + "\n";
    else if (i == 0)  // a heading needs no second line
      lines += left + "\n";
    else lines += left + "\n" + std::string(indent, ' ') + what + "\n";
  }
  return lines;
}

// For widths too narrow for columns.
std::string paragraphs(const Json& receipts, std::size_t width) {
  const Style style{false, shorter_id};
  const std::size_t indent = std::min(step, width / 4);
  std::string lines;
  for (const Json& receipt : receipts)
    lines += wrapped(fmt::format("{} {} {} {} {} {}: {}", text(receipt, "number"), when(receipt),
                                 text(receipt, "kind"), text(receipt, "outcome"), time(receipt, "length_ms"),
                                 id(receipt, style), what(receipt, style)),
                     {width, indent, true}) +
             "\n";
  return lines;
}

// A table of upgrades that all began, or that were all refused; in the widest style that fits.
std::string fitted_table(const Json& receipts, std::size_t width) {
  for (const Style& style : {Style{true, full_id}, Style{false, full_id}}) {
    const Table table = table_of(receipts, style);
    if (width == 0 || table.width <= width) return shown_table(table, width);
  }
  const Table shortest = table_of(receipts, {false, shorter_id});
  if (shortest.width <= width || has_room(shortest, width)) return shown_table(shortest, width);
  const Table below = table_of(receipts, {false, full_id});
  for (const Table& table : {below, shortest})
    if (table.left_width <= width) return shown_table(table, width);
  return paragraphs(receipts, width);
}

}  // namespace

std::string history_table(const Json& receipts, std::size_t width) {
  if (receipts.empty()) return "no upgrade has left a receipt yet\n";
  Json upgrades = Json::array(), refused = Json::array();
  for (const Json& receipt : receipts)
    (text(receipt, "outcome") == "refused" ? refused : upgrades).push_back(receipt);
  std::string shown = upgrades.empty() ? "" : fitted_table(upgrades, width);
  if (refused.empty()) return shown;
  if (!shown.empty()) shown += "\n";
  return shown + wrapped("refused before anything was touched:", {width, 0, true}) + "\n" +
         fitted_table(refused, width);
}

}  // namespace liveswap::cli
