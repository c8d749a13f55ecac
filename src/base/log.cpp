#include "base/log.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <ctime>

#include "base/unique_fd.hpp"

namespace liveswap::log {
namespace {

Level lowest = Level::info;
UniqueFd file;

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

void append_shown(std::string& line, std::string_view text) {
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7f)
      line += fmt::format("\\x{:02x}", byte);
    else
      line += c;
  }
}

}  // namespace

void set_level(Level level) { lowest = level; }

Result<void> open_file(const std::string& path) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0600);
  if (fd < 0) return os_fail("open the log file", path, errno);
  file = UniqueFd::adopt(fd);
  return {};
}

int descriptor() { return file ? file.get() : STDERR_FILENO; }

void write(Level level, std::string_view text) {
  if (level < lowest) return;
  std::string line = fmt::format("{} liveswap[{}] {}: ", timestamp(), ::getpid(), word(level));
  append_shown(line, text);
  line += '\n';
  // Nobody can be told that the log is full or closed.
  [[maybe_unused]] const ssize_t written = ::write(descriptor(), line.data(), line.size());
}

}  // namespace liveswap::log
