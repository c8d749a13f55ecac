#include "check/demangled.hpp"

#include <cxxabi.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <span>

#include "base/unique_fd.hpp"

namespace liveswap::checks {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds step_limit{100};  // for one name
constexpr std::size_t name_limit = 1024;              // bytes; longer names are useless for people
constexpr std::size_t symbol_limit = 16 * 1024;       // bytes of a symbol
constexpr rlim_t memory_limit = 64 * 1024 * 1024;     // in addition to current use

// Other symbols would be demangled as types: "i" as int.
bool is_mangled(const std::string& symbol) {
  return symbol.rfind("_Z", 0) == 0 && symbol.size() <= symbol_limit;
}

// Private memory in bytes (proc(5), statm).
rlim_t memory_now() {
  std::ifstream file("/proc/self/statm");
  rlim_t pages = 0;
  for (int field = 0; field < 6; ++field) file >> pages;
  return pages * static_cast<rlim_t>(::sysconf(_SC_PAGESIZE));
}

bool write_all(int fd, const char* bytes, std::size_t size) {
  while (size > 0) {
    const ssize_t written = ::write(fd, bytes, size);
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return false;
    bytes += written;
    size -= static_cast<std::size_t>(written);
  }
  return true;
}

// In the child: writes for each symbol the name, or nothing, and a NUL.
[[noreturn]] void demangle_all(std::span<const std::string> symbols, rlim_t memory, int out) {
  const rlimit bound{memory, memory};
  ::setrlimit(RLIMIT_DATA, &bound);
  ::signal(SIGPIPE, SIG_DFL);
  for (const std::string& symbol : symbols) {
    int status = 0;
    char* name = abi::__cxa_demangle(symbol.c_str(), nullptr, nullptr, &status);
    const std::size_t size = status == 0 && name ? ::strnlen(name, name_limit + 1) : 0;
    const bool is_short = size > 0 && size <= name_limit;
    if (!write_all(out, is_short ? name : "", is_short ? size + 1 : 1)) break;
    std::free(name);
  }
  ::_exit(0);
}

// Reads until end of file, the time limit, or a name that takes too long.
std::string read_until(int fd, Clock::time_point due) {
  std::string text;
  char bytes[16 * 1024];
  for (;;) {
    const auto all = std::chrono::ceil<std::chrono::milliseconds>(due - Clock::now());
    const auto left = std::min(all, step_limit).count();
    pollfd wake{fd, POLLIN, 0};
    if (left <= 0 || ::poll(&wake, 1, static_cast<int>(left)) == 0) return text;
    const ssize_t size = ::read(fd, bytes, sizeof bytes);
    if (size < 0 && errno == EINTR) continue;
    if (size <= 0) return text;
    text.append(bytes, static_cast<std::size_t>(size));
  }
}

std::string run_child(std::span<const std::string> symbols, Clock::time_point due) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return {};
  const auto reader = UniqueFd::adopt(ends[0]);
  auto writer = UniqueFd::adopt(ends[1]);
  const rlim_t memory = memory_now() + memory_limit;
  const pid_t child = ::fork();
  if (child < 0) return {};
  if (child == 0) demangle_all(symbols, memory, writer.get());
  writer.reset();
  std::string text = read_until(reader.get(), due);
  ::kill(child, SIGKILL);
  while (::waitpid(child, nullptr, 0) < 0 && errno == EINTR) {
  }
  return text;
}

// Stores the names in `text`; returns how many symbols are done.
std::size_t take_names(Names& names, std::span<const std::string> symbols, const std::string& text) {
  std::size_t at = 0, count = 0;
  for (; count < symbols.size(); ++count) {
    const auto end = text.find('\0', at);
    if (end == std::string::npos) break;
    if (end > at) names.emplace(symbols[count], text.substr(at, end - at));
    at = end + 1;
  }
  return count;
}

}  // namespace

Names demangled(const std::vector<std::string>& symbols, std::chrono::milliseconds limit) {
  std::vector<std::string> mangled;
  std::copy_if(symbols.begin(), symbols.end(), std::back_inserter(mangled), is_mangled);
  const auto due = Clock::now() + limit;
  Names names;
  // Skips the symbol at which a child was stopped; the next child continues after it.
  for (std::span<const std::string> rest(mangled); !rest.empty() && Clock::now() < due;)
    rest = rest.subspan(std::min(rest.size(), take_names(names, rest, run_child(rest, due)) + 1));
  return names;
}

const std::string& name_of(const std::string& symbol, const Names& names) {
  const auto found = names.find(symbol);
  return found == names.end() ? symbol : found->second;
}

}  // namespace liveswap::checks
