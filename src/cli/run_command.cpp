#include "cli/run_command.hpp"

#include "cli/help.hpp"
#include "cli/terminal.hpp"

namespace liveswap::cli {

int run_command(const Arguments& arguments) {
  if (arguments.help || arguments.version) {
    print(arguments.help ? help_text(arguments.command) : version_text() + "\n");
    return ok;
  }
  switch (*arguments.command) {
    case Command::start:
      return run_start(arguments);
    case Command::upgrade:
    case Command::rollback:
      return run_upgrade(arguments);
    case Command::history:
      return run_history(arguments);
    case Command::receipt:
      return run_receipt(arguments);
    case Command::status:
      return run_status(arguments);
    case Command::verify:
      return run_verify(arguments);
    case Command::check:
      return run_check(arguments);
    case Command::promote:
    case Command::abort:
    case Command::message:
    case Command::kill:
    case Command::die:
    case Command::stop:
    case Command::forks:
      return run_control(arguments);
  }
  return failed;
}

}  // namespace liveswap::cli
