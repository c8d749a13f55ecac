#include "cli/history_table.hpp"

#include <fmt/format.h>

#include <sstream>
#include <vector>

#include "cli/fields.hpp"
#include "cli/shown.hpp"
#include "cli/table.hpp"

namespace liveswap::cli {
namespace {

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
  return found.is_string() && !found.get_ref<const std::string&>().empty() ? short_id(text(member(receipt, "to"), "id")) : "-";
}

}  // namespace

std::string history_table(const Json& receipts, std::size_t width) {
  std::vector<std::vector<std::string>> rows{{"N", "STARTED", "KIND", "OUTCOME", "TOOK", "RELEASE", "WHAT"}};
  for (const Json& receipt : receipts)
    rows.push_back({text(receipt, "number"), when(receipt), text(receipt, "kind"), text(receipt, "outcome"),
                    time(receipt, "length_ms"), id(receipt), what(receipt)});
  if (rows.size() == 1) return "no upgrade has left a receipt yet\n";
  std::istringstream lines(lay_out(rows, "rlllrll"));
  std::string table;
  for (std::string line; std::getline(lines, line);) table += cut(line, width) + "\n";
  return table;
}

}  // namespace liveswap::cli
