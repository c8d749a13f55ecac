#pragma once

#include <array>
#include <string_view>

namespace liveswap::cli {

// What liveswap is asked to do. The word on the command line is the name of the enumerator.
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
  check,
  verify,
};

inline constexpr std::array<std::string_view, 15> command_words{
    "start",   "upgrade", "rollback", "promote", "abort",  "history", "receipt",
    "message", "kill",    "die",      "stop",    "status", "forks",    "check",    "verify"};

constexpr std::string_view word(Command command) { return command_words[static_cast<std::size_t>(command)]; }

// Sets of commands.
using Commands = unsigned;
constexpr Commands only(Command command) { return 1U << static_cast<unsigned>(command); }
constexpr Commands all_commands = (1U << command_words.size()) - 1;
// Those that have to do with a master, and those that talk to one that runs.
constexpr Commands master_commands = all_commands & ~only(Command::check) & ~only(Command::verify);
constexpr Commands client_commands = master_commands & ~only(Command::start);
constexpr bool contains(Commands commands, Command command) { return (commands & only(command)) != 0; }

}  // namespace liveswap::cli
