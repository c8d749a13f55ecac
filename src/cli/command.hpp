#pragma once

#include <array>
#include <string_view>

namespace liveswap::cli {

// The commands of the command line. The name of an enumerator is the word that users type.
enum class Command {
  start,
  upgrade,
  rollback,
  promote,
  abort,
  history,
  receipt,
  message,
  kill,
  die,
  stop,
  status,
  forks,
  reexec,
  reload,
  check,
  config,
  verify,
  list,
  version,
  help,
};

inline constexpr std::array<std::string_view, 21> command_words{
    "start",   "upgrade", "rollback", "promote", "abort",  "history", "receipt",
    "message", "kill",    "die",      "stop",    "status", "forks",   "reexec",
    "reload",  "check",   "config",   "verify",  "list",   "version", "help"};

constexpr std::string_view word(Command command) { return command_words[static_cast<std::size_t>(command)]; }

// A set of commands, as a bit mask.
using Commands = unsigned;
constexpr Commands only(Command command) { return 1U << static_cast<unsigned>(command); }
constexpr Commands all_commands = (1U << command_words.size()) - 1;
// `client_commands` are sent to a running master. `master_commands`: these, and start.
constexpr Commands client_commands = only(Command::upgrade) | only(Command::rollback) |
                                     only(Command::promote) | only(Command::abort) | only(Command::history) |
                                     only(Command::receipt) | only(Command::message) | only(Command::kill) |
                                     only(Command::die) | only(Command::stop) | only(Command::status) |
                                     only(Command::forks) | only(Command::reexec) | only(Command::reload);
constexpr Commands master_commands = client_commands | only(Command::start);
constexpr bool contains(Commands commands, Command command) { return (commands & only(command)) != 0; }

}  // namespace liveswap::cli
