#include "cli/run_command.hpp"

#include <signal.h>

#include <algorithm>

#include "cli/help.hpp"
#include "cli/terminal.hpp"
#include "client/connect_master.hpp"

namespace liveswap::cli {

namespace {

constexpr std::size_t narrowest_help = 40, usual = 80, widest = 100;

int run_help(const Arguments& arguments) {
  print(help_text(arguments.command, std::clamp(screen(usual).width, narrowest_help, widest)));
  return ok;
}

// `pkill -USR1 liveswap`, meant to reopen the log of a master, also reaches clients.
void ignore_signals_of_a_master() {
  for (const int number : {SIGUSR1, SIGUSR2}) ::signal(number, SIG_IGN);
}

}  // namespace

int run_command(const Arguments& arguments) {
  client::owner_notice() = complain;
  if (arguments.nothing) {
    print_to_stderr(usage_text());
    return usage;
  }
  if (arguments.help) return run_help(arguments);
  if (arguments.version) {
    print(version_text() + "\n");
    return ok;
  }
  if (contains(client_commands, *arguments.command)) ignore_signals_of_a_master();
  switch (*arguments.command) {
    case Command::start: return run_start(arguments);
    case Command::upgrade:
    case Command::rollback: return run_upgrade(arguments);
    case Command::history: return run_history(arguments);
    case Command::receipt: return run_receipt(arguments);
    case Command::status: return run_status(arguments);
    case Command::verify: return run_verify(arguments);
    case Command::check: return run_check(arguments);
    case Command::config: return run_config(arguments);
    case Command::reload: return run_reload(arguments);
    case Command::list: return run_list(arguments);
    case Command::version:
    case Command::help: break;
    case Command::promote:
    case Command::abort:
    case Command::message:
    case Command::kill:
    case Command::die:
    case Command::stop:
    case Command::reexec:
    case Command::forks: return run_control(arguments);
  }
  return failed;
}

}  // namespace liveswap::cli
