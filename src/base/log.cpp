#include "base/log.hpp"

#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <ctime>
#include <map>
#include <vector>

#include "base/line_limit.hpp"
#include "base/log_texts.hpp"
#include "base/unique_fd.hpp"
#include "base/write_at_once.hpp"

namespace liveswap::log {
namespace {

// A pipe that poll() reports as writable takes this much at once.
constexpr std::size_t line_limit = PIPE_BUF;

// Period of the limit for lines that clients and workers can cause.
constexpr std::chrono::minutes seldom_period{1};

// O_NONBLOCK: opening a FIFO must not wait for a reader.
constexpr int file_flags = O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;

UniqueFd file;
std::string path_of_file;
unsigned dropped = 0;
std::map<std::string_view, LineLimit> kinds;
std::function<std::string(std::string_view)> complete;

const char* word(Level level) {
  switch (level) {
    case Level::debug: return "debug";
    case Level::info: return "info";
    case Level::warning: return "warning";
    case Level::error: return "error";
  }
  return "?";
}

std::string timestamp() {
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  tm parts{};
  ::gmtime_r(&now.tv_sec, &parts);
  char text[32];
  const size_t length = ::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &parts);
  return fmt::format("{}.{:03}Z", std::string_view(text, length), now.tv_nsec / 1'000'000);
}

// Escapes the control characters C0, DEL and C1 (in UTF-8: C2 80 to C2 9F).
void append_shown(std::string& line, std::string_view text) {
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    const auto next = static_cast<unsigned char>(i + 1 < text.size() ? text[i + 1] : 0);
    if (byte < 0x20 || byte == 0x7f || (byte == 0xc2 && next >= 0x80 && next < 0xa0))
      line += fmt::format("\\x{:02x}", byte);
    else line += text[i];
  }
}

// Never waits: the log may be a pipe without a reader or a stopped terminal.
bool write_line(std::string_view line) {
  return write_at_once(descriptor(), line) == static_cast<ssize_t>(line.size());
}

std::string line_of(Level level, std::string_view text) {
  std::string line = fmt::format("{} liveswap[{}] {}: ", timestamp(), ::getpid(), word(level));
  append_shown(line, complete ? complete(text) : std::string(text));
  if (line.size() >= line_limit) line.resize(line_limit - 1);
  return line + '\n';
}

LineLimit::Time now() {
  return std::chrono::duration_cast<LineLimit::Time>(std::chrono::steady_clock::now().time_since_epoch());
}

void put(Level level, std::string_view text) {
  if (dropped > 0 &&
      write_line(line_of(Level::warning, fmt::format("{} lines were dropped: the log was full", dropped))))
    dropped = 0;
  if (!write_line(line_of(level, text))) ++dropped;
}

void tell_left_out() {
  for (auto& [kind, limit] : kinds)
    if (const auto count = limit.collect(now()))
      put(Level::warning,
          fmt::format("{}: {} more line{} left out", kind, count, count == 1 ? " was" : "s were"));
}

bool are_same(int one, int other) {
  struct stat first {
  }, second{};
  return ::fstat(one, &first) == 0 && ::fstat(other, &second) == 0 && first.st_dev == second.st_dev &&
         first.st_ino == second.st_ino;
}

}  // namespace

Result<void> open_file(const std::string& path) {
  const int fd = ::open(path.c_str(), file_flags, 0600);
  if (fd < 0) return os_fail("open the log file", path, errno);
  file = UniqueFd::adopt(fd);
  path_of_file = path;
  return {};
}

void adopt_file(int fd, const std::string& path) {
  file = UniqueFd::adopt(fd);
  path_of_file = path;
}

// Opens `path` at the descriptor of the log, and at standard output and error where they are the log.
Result<void> open_in_place(const std::string& path) {
  std::vector<int> same;
  for (const int fd : {STDOUT_FILENO, STDERR_FILENO})
    if (are_same(fd, file.get())) same.push_back(fd);
  const auto opened = UniqueFd::adopt(::open(path.c_str(), file_flags, 0600));
  if (!opened) return os_fail("open the log file", path, errno);
  ::dup3(opened.get(), file.get(), O_CLOEXEC);
  for (const int fd : same) ::dup2(file.get(), fd);
  return {};
}

Result<bool> reopen() {
  if (!file) return false;
  return open_in_place(path_of_file).map([] { return true; });
}

Result<void> move_to(const std::string& path) {
  if (!file) return fail("the log is no file of the master's (--log-file)");
  return open_in_place(path).map([&] { path_of_file = path; });
}

void complete_with(std::function<std::string(std::string_view text)> function) {
  complete = std::move(function);
}

int descriptor() { return file ? file.get() : STDERR_FILENO; }

void count_dropped() noexcept { ++dropped; }

void write(Level level, std::string_view text) noexcept {
  try {
    tell_left_out();
    put(level, text);
  } catch (...) {
    ++dropped;
  }
}

void write_seldom(Kind kind, Level level, std::string_view text) noexcept {
  try {
    tell_left_out();  // first: take() begins the next period
    if (kinds.try_emplace(kind.name, kind.lines, seldom_period).first->second.take(now())) put(level, text);
  } catch (...) {
    ++dropped;
  }
}

}  // namespace liveswap::log
