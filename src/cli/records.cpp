#include "cli/records.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/file.hpp"
#include "client/command_line.hpp"
#include "client/connect.hpp"
#include "client/exchange.hpp"
#include "json/fields.hpp"
#include "json/parse.hpp"
#include "protocol/command_line.hpp"
#include "protocol/instance.hpp"
#include "release/history.hpp"

namespace liveswap::cli {
namespace {

using Json = nlohmann::json;

std::string state_directory(const Client::Where& where) {
  const std::string given =
      where.state_dir.empty() ? "" : absolute_path(where.state_dir, current_directory());
  return protocol::locate_instance(where.port, given, "").state_dir;
}

// Completes the commands in hints, as the client does in answers of a master.
std::string text_of(Json document, const Client::Where& where) {
  return protocol::document_with_options(std::move(document), client::options_of(where))
      .dump(-1, ' ', false, Json::error_handler_t::replace);
}

bool read_here(const Outcome& outcome, const Client::Where& where) {
  return outcome.status == no_master && client::means_this_machine(where.address);
}

std::string left_out(std::int64_t count, const std::string& why) {
  return count <= 0 ? "" : fmt::format("{} receipt{} left out: {}", count, count == 1 ? " is" : "s are", why);
}

}  // namespace

Records history_of(const Client::Where& where, unsigned newest) {
  protocol::Command command;
  command.verb = protocol::Verb::history;
  command.value = std::to_string(newest);
  auto [outcome, line] = client::exchange(where, std::move(command), {});
  if (!read_here(outcome, where)) {
    const Json answer = json::parse_or_null(line);
    return {std::move(outcome), left_out(json::number(answer, "left_out").value_or(0),
                                         json::text_or_empty(answer, "left_out_text"))};
  }
  const auto listed = release::History(state_directory(where)).list(newest);
  if (listed.receipts.empty() && listed.left_out == 0)
    return {{no_master, outcome.text + "; and there is no receipt in " + state_directory(where) + "/history"},
            {}};
  return {{ok, text_of(listed.receipts, where)},
          left_out(static_cast<std::int64_t>(listed.left_out), listed.why)};
}

Outcome receipt_of(const Client::Where& where, std::optional<std::uint64_t> number) {
  Outcome outcome = Client(where).receipt(number);
  if (!read_here(outcome, where)) return outcome;
  const auto receipt = release::History(state_directory(where)).receipt(number);
  if (!receipt) return {failed, receipt.error().text};
  return {ok, text_of(*receipt, where)};
}

}  // namespace liveswap::cli
