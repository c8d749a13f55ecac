#include "cli/run_command.hpp"
#include "cli/shown.hpp"
#include "cli/terminal.hpp"
#include "config/values.hpp"

namespace liveswap::cli {
namespace {

Outcome ask(const Arguments& arguments) {
  Client client(arguments.where);
  switch (*arguments.command) {
    case Command::promote:
      return client.promote();
    case Command::abort:
      return client.abort();
    case Command::message:
      return client.message(arguments.value);
    case Command::kill:
      return client.kill();
    case Command::die:
      return client.die();
    case Command::stop:
      return client.stop();
    case Command::forks: {
      const auto count = config::parse_number(arguments.value, 1, config::forks_limit);
      if (!count) return {usage, "forks: " + count.error().text};
      return client.forks(static_cast<unsigned>(*count));
    }
    case Command::start:
    case Command::upgrade:
    case Command::rollback:
    case Command::history:
    case Command::receipt:
    case Command::status:
    case Command::check:
    case Command::verify:
      break;
  }
  return {failed, "no command of this kind"};
}

}  // namespace

int run_control(const Arguments& arguments) {
  const Outcome outcome = ask(arguments);
  if (outcome.status != ok)
    complain(outcome.text);
  else
    print((outcome.text.empty() ? std::string("done") : shown(outcome.text)) + "\n");
  return outcome.status;
}

}  // namespace liveswap::cli
