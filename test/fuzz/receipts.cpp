// Fuzzes a file in history/, from the store's reader to the terminal, and the same text as a line from a
// master.
#include <nlohmann/json.hpp>

#include "cli/history_table.hpp"
#include "cli/progress.hpp"
#include "cli/receipt_text.hpp"
#include "cli/status_table.hpp"
#include "client/answer.hpp"
#include "json/parse.hpp"
#include "protocol/command_line.hpp"
#include "protocol/message.hpp"
#include "release/history.hpp"
#include "release/recorder.hpp"
#include "release/success_text.hpp"
#include "target.hpp"

namespace {

using namespace liveswap;
using json::Json;

void check_for_terminal(const std::string& text) {
  for (const char c : text)
    fuzz::require(c == '\n' || static_cast<unsigned char>(c) >= 0x20, "fit for a terminal");
}

void show(const Json& document, std::size_t width) {
  check_for_terminal(cli::receipt_text(document, {width, false}));
  check_for_terminal(cli::history_table(document.is_array() ? document : Json::array({document}), width));
}

void take_receipt(const Json& receipt, std::size_t width) {
  if (const auto to = release::went_to(receipt)) fuzz::require(!to->path.empty(), "a release has a path");
  release::success_text(receipt, "generation 2 serves");
  const Json listed = Json::array({release::summary_of(receipt)});
  const auto line = protocol::ok_line("history", {{"history", listed}});
  fuzz::require(client::outcome_of(line).status == ok, "what a receipt says can be answered");
  const auto whole = client::outcome_of(protocol::ok_line("receipt", {{"receipt", receipt}}));
  fuzz::require(json::parse(whole.text).has_value(), "a receipt survives its answer");
  show(receipt, width);
}

void take_answer(std::string_view line, std::size_t width) {
  if (client::kind_of(line) == client::LineKind::answer) client::outcome_of(line);
  cli::Progress progress(" -p 1");
  check_for_terminal(progress.take(line).line);
  check_for_terminal(progress.bar(width, std::chrono::seconds(1), false));
  if (const auto table = cli::status_table(line, " -p 1", {width, false})) check_for_terminal(*table);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto text = fuzz::text_of(data, size);
  constexpr std::size_t widths[] = {100, 60, 20, 0};
  const std::size_t width = widths[size % 4];
  const Json document = json::parse_or_null(text);
  if (!document.is_structured()) return 0;
  const auto receipt = release::History::parse(text, 1, "/state/history/1.json");
  if (receipt) return take_receipt(*receipt, width), 0;
  take_answer(text, width);
  show(protocol::document_with_options(document, " -p 1"), width);
  return 0;
}
