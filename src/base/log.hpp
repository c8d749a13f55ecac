#pragma once

#include <fmt/format.h>

#include <string>
#include <string_view>

#include "base/error.hpp"

// The log of a master: one line an event, to stderr or a file. Lines are written with one write() each, so
// that they never mix with those of workers that share the descriptor. Never blocks: a line that cannot be
// written at once, or for which there is no memory, is dropped, and counted in the next one that can. Lines
// are cut at 4096 bytes. Nothing here throws but open_file() and reopen().
namespace liveswap::log {

enum class Level { debug, info, warning, error };

// Sends further lines to a file, opened for appending and made with mode 0600.
Result<void> open_file(const std::string& path);

// Opens that file again by its path, so that further lines go to a new one when it was moved away (log
// rotation). Where standard output and error are the same file they follow. False: no file was opened, the
// log is stderr. After an error the log goes on in the old file. The number of the descriptor stays.
Result<bool> reopen();

// The descriptor that lines go to; borrowed.
int descriptor();

// Control characters in `text` are shown as \xNN: a worker cannot forge lines or drive a terminal.
void write(Level level, std::string_view text) noexcept;

// A line that was not written.
void count_dropped() noexcept;

// Lines that a client or a worker can bring about as often as it likes: so many of a kind are written in a
// minute. How many more there were is said with the first line, of whatever kind, that is written after that
// minute.
struct Kind {
  std::string_view name;  // a literal, in the plural: "refused commands"
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
