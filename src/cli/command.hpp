#pragma once

#include <array>
#include <string_view>

namespace liveswap::cli {

// What liveswap is asked to do. The word on the command line is the name of the enumerator.
enum class Command { start, upgrade, message, kill, die, stop, status, forks, verify };

inline constexpr std::array<std::string_view, 9> command_words{"start", "upgrade", "message", "kill",
                                                               "die",   "stop",    "status",  "forks", "verify"};

constexpr std::string_view word(Command command) { return command_words[static_cast<std::size_t>(command)]; }

// Sets of commands.
using Commands = unsigned;
constexpr Commands only(Command command) { return 1U << static_cast<unsigned>(command); }
constexpr Commands all_commands = (1U << command_words.size()) - 1;
constexpr Commands client_commands = all_commands & ~only(Command::start) & ~only(Command::verify);
constexpr bool contains(Commands commands, Command command) { return (commands & only(command)) != 0; }

}  // namespace liveswap::cli
