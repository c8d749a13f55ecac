#include "cli/history_table.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <sstream>
#include <vector>

#include "cli/fields.hpp"
#include "cli/shown.hpp"
#include "cli/table.hpp"

namespace liveswap::cli {
namespace {

constexpr std::size_t least_room = 30;  // for what it went to; below it that stands on a line of its own

// "2026-11-22T23:17:58.042Z" without what a table has no room for.
std::string when(const Json& receipt) {
  std::string started = text(receipt, "started");
  if (started.size() < 20 || started[10] != 'T') return started;
  started[10] = ' ';
  return started.substr(0, 19) + "Z";
}

std::string what(const Json& receipt) {
  const Json& to = member(receipt, "to");
  std::string line = to.is_object() ? text(to, "path") : "?";
  const std::string reason = text(receipt, "reason");
  return member(receipt, "reason").is_string() && !reason.empty() ? line + ": " + reason : line;
}

std::string id(const Json& receipt) {
  const Json& found = member(member(receipt, "to"), "id");
  return found.is_string() && !found.get_ref<const std::string&>().empty()
             ? short_id(text(member(receipt, "to"), "id"))
             : "-";
}

}  // namespace

std::string history_table(const Json& receipts, std::size_t width) {
  std::vector<std::vector<std::string>> rows{{"N", "STARTED", "KIND", "OUTCOME", "TOOK", "RELEASE"}};
  std::vector<std::string> whats{"WHAT"};
  for (const Json& receipt : receipts) {
    rows.push_back({text(receipt, "number"), when(receipt), text(receipt, "kind"), text(receipt, "outcome"),
                    time(receipt, "length_ms"), id(receipt)});
    whats.push_back(what(receipt));
  }
  if (rows.size() == 1) return "no upgrade has left a receipt yet\n";
  std::istringstream lines(lay_out(rows, "rlllrl"));
  std::vector<std::string> left;
  std::size_t longest = 0;
  for (std::string line; std::getline(lines, line);)
    longest = std::max(longest, columns(left.emplace_back(line)));
  const bool beside = width == 0 || longest + least_room <= width;
  std::string table;
  for (std::size_t i = 0; i < left.size(); ++i)
    table += beside ? cut(fmt::format("{:<{}}  {}", left[i], longest, whats[i]), width) + "\n"
                    : cut(left[i], width) + (i == 0 ? "" : "\n" + cut("   " + whats[i], width)) + "\n";
  return table;
}

}  // namespace liveswap::cli
