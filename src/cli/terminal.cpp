#include "cli/terminal.hpp"

#include <sys/ioctl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>

#include "cli/printable.hpp"

namespace liveswap::cli {
namespace {

void write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t n = ::write(fd, text.data(), text.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return;
    text.remove_prefix(static_cast<std::size_t>(n));
  }
}

bool is_set(const char* variable) {
  const char* value = ::getenv(variable);
  return value && *value;
}

bool is_terminal(int fd) {
  const char* kind = ::getenv("TERM");
  return ::isatty(fd) == 1 && kind && *kind && std::string_view(kind) != "dumb";
}

winsize size_of(int fd) {
  winsize size{};
  ::ioctl(fd, TIOCGWINSZ, &size);
  if (size.ws_col == 0) size.ws_col = 80;
  if (size.ws_row == 0) size.ws_row = 24;
  return size;
}

}  // namespace

bool Terminal::available() { return is_terminal(STDERR_FILENO); }

std::size_t Terminal::width() const { return size_of(STDERR_FILENO).ws_col; }

bool draws_in_place() { return is_terminal(STDOUT_FILENO); }

bool on_terminal() { return ::isatty(STDOUT_FILENO) == 1; }

Screen screen(std::size_t otherwise) {
  if (!on_terminal()) return {otherwise};
  const winsize size = size_of(STDOUT_FILENO);
  return {size.ws_col, is_terminal(STDOUT_FILENO) && !is_set("NO_COLOR"), true, size.ws_row};
}

bool Terminal::colour() const { return !is_set("NO_COLOR"); }

void Terminal::draw(std::string_view line) { write_all(STDERR_FILENO, "\r" + std::string(line) + "\x1b[K"); }

void Terminal::clear() { draw(""); }

void Terminal::next_line() { write_all(STDERR_FILENO, "\n"); }

void print(std::string_view text) { write_all(STDOUT_FILENO, text); }

void print_to_stderr(std::string_view text) { write_all(STDERR_FILENO, text); }

std::string complaint(std::string_view text) { return "liveswap: " + printable(text, true) + "\n"; }

void complain(std::string_view text) { write_all(STDERR_FILENO, complaint(text)); }

}  // namespace liveswap::cli
