#pragma once

#include <fmt/format.h>

#include <string>
#include <string_view>

#include "base/error.hpp"

// The log of a master: one line for each event, to stderr or a file. Each line is one write(), so lines of
// the master and of workers that share the descriptor do not mix. Nothing here blocks. A line that cannot be
// written at once, or for which there is no memory, is dropped; the next line that succeeds tells how many
// were dropped. Lines are cut at 4096 bytes. Only open_file() and reopen() throw.
namespace liveswap::log {

enum class Level { debug, info, warning, error };

// Writes further lines to a file: opened for appending, created with mode 0600.
Result<void> open_file(const std::string& path);

// The log file of the former image of this program, opened by open_file() there. The descriptor keeps its
// number.
void adopt_file(int fd, const std::string& path);

// Opens the log file again by its path, after log rotation has moved the old one away. Standard output and
// error follow if they are the same file. The descriptor keeps its number. False: the log is stderr. After an
// error, logging continues in the old file.
Result<bool> reopen();

// Goes on in another file, at the same descriptor. The log must be a file (open_file()). On failure it stays
// where it is.
Result<void> move_to(const std::string& path);

// The descriptor of the log; borrowed.
int descriptor();

// Escapes control characters in `text` as \xNN, so that a worker cannot forge lines or send commands to a
// terminal.
void write(Level level, std::string_view text) noexcept;

// Counts a line as dropped.
void count_dropped() noexcept;

// Rate limit for lines that a client or a worker can cause: at most `lines` of a kind are written in a
// minute. The first line of any kind after that minute tells how many were suppressed.
struct Kind {
  std::string_view name;  // a literal, plural: "refused commands"
  unsigned lines = 10;
};
void write_seldom(Kind kind, Level level, std::string_view text) noexcept;

template <class... Args>
void seldom(Kind kind, Level level, fmt::format_string<Args...> format, Args&&... args) noexcept {
  try {
    write_seldom(kind, level, fmt::format(format, std::forward<Args>(args)...));
  } catch (...) {
    count_dropped();
  }
}
template <class... Args>
void write_formatted(Level level, fmt::format_string<Args...> format, Args&&... args) noexcept {
  try {
    write(level, fmt::format(format, std::forward<Args>(args)...));
  } catch (...) {
    count_dropped();
  }
}
template <class... Args>
void info(fmt::format_string<Args...> format, Args&&... args) noexcept {
  write_formatted(Level::info, format, std::forward<Args>(args)...);
}
template <class... Args>
void warning(fmt::format_string<Args...> format, Args&&... args) noexcept {
  write_formatted(Level::warning, format, std::forward<Args>(args)...);
}
template <class... Args>
void error(fmt::format_string<Args...> format, Args&&... args) noexcept {
  write_formatted(Level::error, format, std::forward<Args>(args)...);
}

}  // namespace liveswap::log
