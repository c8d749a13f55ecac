#include "cli/history_table.hpp"
#include "cli/printable.hpp"
#include "cli/receipt_text.hpp"
#include "cli/records.hpp"
#include "cli/run_command.hpp"
#include "cli/terminal.hpp"
#include "json/parse.hpp"

namespace liveswap::cli {
namespace {

constexpr unsigned usual_length = 20;

// Prints a document as JSON or for people.
template <class Show>
int print_document(const Outcome& outcome, const Arguments& arguments, Show show) {
  if (outcome.status != ok) {
    complain(outcome.text);
    return outcome.status;
  }
  if (arguments.json) {
    print(printable_json(outcome.text) + "\n");
    return ok;
  }
  const auto document = json::parse_or_null(outcome.text);
  if (!document.is_structured()) {
    complain("the master's answer is no JSON document");
    return failed;
  }
  print(show(document));
  return ok;
}

}  // namespace

int run_history(const Arguments& arguments) {
  const unsigned newest =
      arguments.value.empty() ? usual_length : static_cast<unsigned>(std::stoul(arguments.value));
  const std::size_t width = on_terminal() ? screen().width : 0;
  const auto records = history_of(arguments.where, newest);
  const int status = print_document(records.outcome, arguments, [&](const auto& receipts) {
    return receipts.empty() && !records.left_out.empty() ? "" : history_table(receipts, width);
  });
  if (!records.left_out.empty()) complain(records.left_out);
  return status;
}

int run_receipt(const Arguments& arguments) {
  std::optional<std::uint64_t> number;
  if (!arguments.value.empty()) number = std::stoull(arguments.value);
  return print_document(receipt_of(arguments.where, number), arguments,
                        [](const auto& receipt) { return receipt_text(receipt, screen()); });
}

}  // namespace liveswap::cli
