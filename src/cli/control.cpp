#include <utility>

#include "cli/printable.hpp"
#include "cli/run_command.hpp"
#include "cli/terminal.hpp"
#include "config/values.hpp"

namespace liveswap::cli {
namespace {

Outcome ask(const Arguments& arguments) {
  Client client(arguments.where);
  switch (*arguments.command) {
    case Command::promote: return client.promote();
    case Command::abort: return client.abort();
    case Command::message: return client.message(arguments.value);
    case Command::kill: return client.kill();
    case Command::die: return client.die();
    case Command::stop: return client.stop();
    case Command::forks: {
      const auto count = config::parse_forks(arguments.value);
      if (!count) return {usage, "forks: " + count.error().text};
      return client.forks(*count);
    }
    case Command::reexec: {
      // The master waits, and answers then.
      Client::Where where = arguments.where;
      const Milliseconds wait =
          where.timeout.count() > 0 ? std::exchange(where.timeout, Milliseconds{0}) : Milliseconds{60'000};
      return Client(where).reexec(arguments.value, wait);
    }
    case Command::start:
    case Command::upgrade:
    case Command::rollback:
    case Command::history:
    case Command::receipt:
    case Command::status:
    case Command::reload:
    case Command::config:
    case Command::check:
    case Command::verify:
    case Command::list:
    case Command::version:
    case Command::help: break;
  }
  return {failed, "no command of this kind"};
}

}  // namespace

int run_control(const Arguments& arguments) {
  const Outcome outcome = ask(arguments);
  if (outcome.status != ok) complain(outcome.text);
  else print((outcome.text.empty() ? std::string("done") : printable(outcome.text)) + "\n");
  return outcome.status;
}

}  // namespace liveswap::cli
