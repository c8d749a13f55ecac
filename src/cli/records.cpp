#include "cli/records.hpp"

#include <nlohmann/json.hpp>

#include "base/file.hpp"
#include "client/command_line.hpp"
#include "client/connect.hpp"
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

// With its hints completed, as a master's answer comes from the client.
std::string text_of(Json document, const Client::Where& where) {
  return protocol::document_with_options(std::move(document), client::options_of(where))
      .dump(-1, ' ', false, Json::error_handler_t::replace);
}

bool read_here(const Outcome& outcome, const Client::Where& where) {
  return outcome.status == no_master && client::means_this_machine(where.address);
}

}  // namespace

Outcome history_of(const Client::Where& where, unsigned newest) {
  Outcome outcome = Client(where).history(newest);
  if (!read_here(outcome, where)) return outcome;
  const Json summaries = release::History(state_directory(where)).list(newest).receipts;
  if (summaries.empty())
    return {no_master, outcome.text + "; and there is no receipt in " + state_directory(where) + "/history"};
  return {ok, text_of(summaries, where)};
}

Outcome receipt_of(const Client::Where& where, std::optional<std::uint64_t> number) {
  Outcome outcome = Client(where).receipt(number);
  if (!read_here(outcome, where)) return outcome;
  const auto receipt = release::History(state_directory(where)).receipt(number);
  if (!receipt) return {failed, receipt.error().text};
  return {ok, text_of(*receipt, where)};
}

}  // namespace liveswap::cli
