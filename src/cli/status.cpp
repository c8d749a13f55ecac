#include "cli/run_command.hpp"
#include "cli/shown.hpp"
#include "cli/status_table.hpp"
#include "cli/terminal.hpp"

namespace liveswap::cli {

int run_status(const Arguments& arguments) {
  const Outcome outcome = Client(arguments.where).status();
  if (outcome.status != ok) {
    complain(outcome.text);
    return outcome.status;
  }
  if (arguments.json) {
    print(shown_json(outcome.text) + "\n");
    return ok;
  }
  const auto table = status_table(outcome.text);
  if (!table) {
    complain(table.error().text);
    return failed;
  }
  print(*table);
  return ok;
}

}  // namespace liveswap::cli
