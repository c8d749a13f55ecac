#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <cstring>
#include <optional>

#include "base/file.hpp"
#include "cli/live_bar.hpp"
#include "cli/printable.hpp"
#include "cli/progress.hpp"
#include "cli/records.hpp"
#include "cli/run_command.hpp"
#include "cli/terminal.hpp"
#include "client/command_line.hpp"
#include "client/connect_master.hpp"
#include "client/exchange.hpp"

namespace liveswap::cli {
namespace {

// Message for an interrupted client. Prepared in advance: a signal handler must not allocate.
const char* volatile interrupt_message = "";

// Raises the signal again with its default action, so that the shell sees the signal as the cause.
void on_interrupt(int number) {
  const char* words = interrupt_message;
  [[maybe_unused]] const ssize_t written = ::write(STDERR_FILENO, words, std::strlen(words));
  ::raise(number);
}

void part_on_interrupt(bool with_bar, const Client::Where& where) {
  static std::string words;
  words = fmt::format("{}liveswap: interrupted; a running upgrade continues, see: {}\n",
                      with_bar ? "\r\x1b[K" : "", printable(client::command_line(where, "status")));
  interrupt_message = words.c_str();
  struct sigaction action {};
  action.sa_handler = on_interrupt;
  action.sa_flags = SA_RESETHAND;
  for (const int number : {SIGINT, SIGTERM, SIGHUP}) {
    struct sigaction before {};
    // A signal ignored at start (nohup) stays ignored.
    if (::sigaction(number, nullptr, &before) == 0 && before.sa_handler != SIG_IGN)
      ::sigaction(number, &action, nullptr);
  }
}

protocol::Command command_of(const Arguments& arguments) {
  protocol::Command command;
  const bool upgrade = *arguments.command == Command::upgrade;
  command.verb = upgrade ? protocol::Verb::upgrade : protocol::Verb::rollback;
  command.value = arguments.value;
  if (upgrade && !command.value.empty()) command.value = absolute_path(command.value, current_directory());
  command.detach = arguments.detach;
  command.wishes = arguments.wishes;
  return command;
}

// Prints only the receipt to stdout, whatever the outcome.
Outcome with_json(const Arguments& arguments) {
  Outcome outcome = client::exchange(arguments.where, command_of(arguments), {}).outcome;
  if (outcome.receipt == 0) return outcome;
  const Outcome receipt = receipt_of(arguments.where, outcome.receipt);
  if (receipt.status == ok) print(printable_json(receipt.text) + "\n");
  else complain(receipt.text);
  return outcome;
}

Outcome with_bar(const Arguments& arguments) {
  LiveBar bar(client::options_of(arguments.where));
  client::owner_notice() = [&](const std::string& text) { bar.keep(printable(text)); };
  Outcome outcome = client::exchange(arguments.where, command_of(arguments), [&](const std::string& json) {
                      bar.take(json);
                    }).outcome;
  client::owner_notice() = complain;
  return outcome;
}

Outcome with_lines(const Arguments& arguments) {
  Progress progress(client::options_of(arguments.where));
  const auto event = [&](const std::string& json) {
    if (const auto note = progress.take(json); !note.line.empty()) print(note.line + "\n");
  };
  return client::exchange(arguments.where, command_of(arguments), event).outcome;
}

}  // namespace

int run_upgrade(const Arguments& arguments) {
  const bool bar = !arguments.json && !arguments.detach && Terminal::available();
  part_on_interrupt(bar, arguments.where);
  const Outcome outcome = arguments.json ? with_json(arguments)
                          : bar          ? with_bar(arguments)
                                         : with_lines(arguments);
  const std::string more =
      outcome.receipt == 0 || arguments.json
          ? ""
          : "\nmore of it: " +
                client::command_line(arguments.where, fmt::format("receipt {}", outcome.receipt));
  if (outcome.status == reverted)
    complain(fmt::format("the {} failed, the old code serves: {}{}", word(*arguments.command), outcome.text,
                         more));
  else if (outcome.status != ok) complain(outcome.text + more);
  else if (!arguments.json) print(outcome.text.empty() ? "done\n" : printable(outcome.text) + "\n");
  return outcome.status;
}

}  // namespace liveswap::cli
