#include "harness.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <utility>

namespace liveswap::test {

namespace {

// Long enough for a loaded machine and a sanitizer build; no passing test waits for it.
constexpr int kLimitMs = 20'000;

std::vector<char*> pointers(std::vector<std::string>& words) {
  std::vector<char*> list;
  for (std::string& word : words) list.push_back(word.data());
  list.push_back(nullptr);
  return list;
}

[[noreturn]] void become_worker(int channel, const std::vector<int>& listeners, char** words,
                                char** environment) {
  // First out of the way of the known places, then into them.
  constexpr int above = 200;
  channel = fcntl(channel, F_DUPFD, above);
  std::vector<int> moved;
  for (int fd : listeners) moved.push_back(fcntl(fd, F_DUPFD, above));
  dup2(channel, LIVESWAP_FD_CHANNEL);
  dup2(open("/dev/null", O_RDONLY), LIVESWAP_FD_LIFE);
  int place = LIVESWAP_FD_LISTENERS;
  for (int fd : moved) dup2(fd, place++);
  syscall(SYS_close_range, place, ~0U, 0);
  execve(WORKER_HOST, words, environment);
  _exit(99);
}

}  // namespace

std::string built(const std::string& path) {
  REQUIRE_MESSAGE(access(path.c_str(), R_OK) == 0, path << " has not been built");
  return path;
}

std::string fixture(std::string_view name) { return built(FIXTURES "/lib" + std::string(name) + ".so"); }
std::string sample(const std::string& name) { return built(SAMPLES "/lib" + name + ".so"); }
std::string probe() { return built(WORKER_TESTS "/libprobe.so"); }
std::string pre_upgrade_plugin() { return built(WORKER_TESTS "/libpre_upgrade.so"); }

UniqueFd listen_tcp() {
  UniqueFd fd = UniqueFd::adopt(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  REQUIRE(bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
  REQUIRE(listen(fd.get(), 128) == 0);
  return fd;
}

UniqueFd listen_unix(const std::string& path) {
  UniqueFd fd = UniqueFd::adopt(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  unlink(path.c_str());
  REQUIRE(bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
  REQUIRE(listen(fd.get(), 128) == 0);
  return fd;
}

UniqueFd connect_to(int listener) {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  REQUIRE(getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size) == 0);
  UniqueFd fd = UniqueFd::adopt(socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const timeval limit{kLimitMs / 1000, 0};
  REQUIRE(setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) == 0);
  REQUIRE(connect(fd.get(), reinterpret_cast<sockaddr*>(&address), size) == 0);
  return fd;
}

bool readable(int fd, int limit_ms) {
  pollfd polled{fd, POLLIN, 0};
  return poll(&polled, 1, limit_ms) == 1;
}

std::optional<std::string> read_all(int fd) {
  std::string all;
  for (;;) {
    char buffer[16384];
    REQUIRE_MESSAGE(readable(fd, kLimitMs), "no end of the connection; so far: " << all.size() << " bytes");
    const ssize_t size = recv(fd, buffer, sizeof buffer, 0);
    if (size < 0) return std::nullopt;
    if (size == 0) return all;
    all.append(buffer, static_cast<std::size_t>(size));
  }
}

std::string get(int listener) {
  const UniqueFd fd = connect_to(listener);
  const std::string request = "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
  REQUIRE(::send(fd.get(), request.data(), request.size(), MSG_NOSIGNAL) ==
          static_cast<ssize_t>(request.size()));
  REQUIRE(readable(fd.get(), kLimitMs));
  char buffer[4096];
  const ssize_t size = recv(fd.get(), buffer, sizeof buffer, 0);
  return size > 0 ? std::string(buffer, static_cast<std::size_t>(size)) : "";
}

Worker Worker::start(const Settings& settings) {
  std::vector<std::string> words = {WORKER_HOST,
                                    "--slot",
                                    "3",
                                    "--generation",
                                    "7",
                                    "--drain-limit",
                                    std::to_string(settings.drain_limit_ms),
                                    "--term-grace",
                                    std::to_string(settings.term_grace_ms),
                                    "--listeners",
                                    settings.names};
  words.insert(words.end(), settings.more.begin(), settings.more.end());
  words.push_back(settings.path);
  words.insert(words.end(), settings.arguments.begin(), settings.arguments.end());
  return spawn(words, settings.listeners, settings.environment);
}

Worker Worker::pre_upgrade(const std::string& path, const std::string& value) {
  return spawn({WORKER_HOST, "--pre-upgrade", path, value}, {}, {});
}

Worker Worker::check(const std::string& path, const std::vector<std::string>& arguments) {
  std::vector<std::string> words = {WORKER_HOST, "--check", path};
  words.insert(words.end(), arguments.begin(), arguments.end());
  return spawn(words, {}, {});
}

Worker Worker::spawn(const std::vector<std::string>& words, const std::vector<int>& listeners,
                     const std::map<std::string, std::string>& environment) {
  built(WORKER_HOST);
  int ends[2];
  REQUIRE(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) == 0);
  UniqueFd ours = UniqueFd::adopt(ends[0]);
  UniqueFd theirs = UniqueFd::adopt(ends[1]);
  std::vector<std::string> arguments = words;
  // For a sanitizer build: a crash that a fixture is made for shall end in its signal.
  const char* given = std::getenv("TSAN_OPTIONS");
  std::vector<std::string> variables = {
      "ASAN_OPTIONS=handle_segv=0:handle_abort=0",
      std::string("TSAN_OPTIONS=") +
          (given ? given : "handle_segv=0:handle_abort=0:halt_on_error=1:atexit_sleep_ms=0")};
  for (const auto& [name, value] : environment) variables.push_back(name + "=" + value);
  const std::vector<char*> argument_list = pointers(arguments);
  const std::vector<char*> variable_list = pointers(variables);
  const pid_t pid = fork();
  REQUIRE(pid >= 0);
  if (pid == 0) {
    become_worker(theirs.get(), listeners, const_cast<char**>(argument_list.data()),
                  const_cast<char**>(variable_list.data()));
  }
  return {pid, std::move(ours)};
}

Worker::~Worker() {
  if (pid_ <= 0) return;
  kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
}

void Worker::send(std::uint32_t kind, std::int32_t value, std::string_view text) {
  const liveswap_frame frame{kind, value, 0};
  std::string packet(reinterpret_cast<const char*>(&frame), sizeof frame);
  packet.append(text);
  REQUIRE(::send(channel(), packet.data(), packet.size(), MSG_NOSIGNAL) ==
          static_cast<ssize_t>(packet.size()));
}

std::optional<Frame> Worker::next() {
  static char packet[sizeof(liveswap_frame) + LIVESWAP_TEXT_MAX];
  REQUIRE_MESSAGE(readable(channel(), kLimitMs), "the worker says nothing");
  const ssize_t size = recv(channel(), packet, sizeof packet, 0);
  if (size <= 0) return std::nullopt;
  liveswap_frame frame{};
  REQUIRE(size >= static_cast<ssize_t>(sizeof frame));
  std::memcpy(&frame, packet, sizeof frame);
  return Frame{frame.kind, frame.value, frame.count,
               std::string(packet + sizeof frame, static_cast<std::size_t>(size) - sizeof frame)};
}

Frame Worker::expect(std::uint32_t kind) {
  const auto found =
      std::find_if(kept_.begin(), kept_.end(), [&](const Frame& frame) { return frame.kind == kind; });
  if (found != kept_.end()) {
    Frame frame = *found;
    kept_.erase(found);
    return frame;
  }
  for (std::optional<Frame> frame = next(); frame; frame = next()) {
    if (frame->kind == kind) return *frame;
    kept_.push_back(*frame);
  }
  FAIL("the channel ended before a frame of kind " << kind);
  return {};
}

bool Worker::kept(std::uint32_t kind) const {
  return std::any_of(kept_.begin(), kept_.end(), [&](const Frame& frame) { return frame.kind == kind; });
}

// An application that was told to return may be gone before its control thread has said that it took the
// order.
void Worker::tell(const std::string& order) {
  send(LIVESWAP_MESSAGE, 1, order);
  for (std::optional<Frame> frame = next(); frame && frame->kind != LIVESWAP_TAKEN; frame = next())
    kept_.push_back(*frame);
}

std::string Worker::ask(const std::string& order) {
  tell(order);
  return expect(LIVESWAP_LOG).text;
}

End Worker::wait() {
  const UniqueFd process = UniqueFd::adopt(static_cast<int>(syscall(SYS_pidfd_open, pid_, 0)));
  REQUIRE_MESSAGE(readable(process.get(), kLimitMs), "the worker does not end");
  int status = 0;
  REQUIRE(waitpid(std::exchange(pid_, -1), &status, 0) > 0);
  return WIFEXITED(status) ? End{true, WEXITSTATUS(status)} : End{false, WTERMSIG(status)};
}

std::string failure(const std::string& path, int stage, const std::vector<std::string>& more) {
  Worker worker = Worker::start({.path = path, .more = more});
  const Frame frame = worker.expect(LIVESWAP_FAILED);
  CHECK(frame.value == stage);
  const End end = worker.wait();
  CHECK(end.exited);
  CHECK(end.number == LIVESWAP_EXIT_LOAD);
  return frame.text;
}

}  // namespace liveswap::test
