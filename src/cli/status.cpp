#include "cli/printable.hpp"
#include "cli/run_command.hpp"
#include "cli/status_table.hpp"
#include "cli/terminal.hpp"
#include "cli/watch.hpp"
#include "client/command_line.hpp"

namespace liveswap::cli {

int run_status(const Arguments& arguments) {
  if (arguments.watch) return run_watch(arguments);
  const Outcome outcome = Client(arguments.where).status();
  if (outcome.status != ok) {
    complain(outcome.text);
    return outcome.status;
  }
  if (arguments.json) {
    print(printable_json(outcome.text) + "\n");
    return ok;
  }
  const auto table = status_table(outcome.text, client::options_of(arguments.where), screen(80));
  if (!table) {
    complain(table.error().text);
    return failed;
  }
  print(*table);
  return ok;
}

}  // namespace liveswap::cli
