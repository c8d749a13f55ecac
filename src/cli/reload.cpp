#include "cli/printable.hpp"
#include "cli/progress.hpp"
#include "cli/run_command.hpp"
#include "cli/terminal.hpp"
#include "client/command_line.hpp"
#include "client/exchange.hpp"

namespace liveswap::cli {

int run_reload(const Arguments& arguments) {
  protocol::Command command;
  command.verb = protocol::Verb::reload;
  if (arguments.dry_run) command.wishes["dry_run"] = "true";
  Progress progress(client::options_of(arguments.where));
  const auto event = [&](const std::string& json) {
    if (const auto note = progress.take(json); !note.line.empty() && !arguments.json) print(note.line + "\n");
  };
  const auto [outcome, line] = client::exchange(arguments.where, std::move(command), event);
  if (arguments.json && !line.empty()) print(printable_json(line) + "\n");
  if (outcome.status == ok) {
    if (!arguments.json) print(printable(outcome.text) + "\n");
    return ok;
  }
  const std::string more =
      outcome.receipt == 0
          ? ""
          : "\nmore of it: " +
                client::command_line(arguments.where, "receipt " + std::to_string(outcome.receipt));
  complain((outcome.status == reverted ? "the reload failed, everything is as it was: " : "") + outcome.text +
           more);
  return outcome.status;
}

}  // namespace liveswap::cli
