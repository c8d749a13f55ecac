// Behind a placeholder (retire/handoff_relay.h): what becomes of a connection whose application still reads
// from it, by a call that began before the placeholder came. A duplicate of the connection is that call; a
// thread that blocks the signal is the one that is in it.
#include <doctest/doctest.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdarg>
#include <cstring>
#include <fstream>
#include <string>
#include <thread>
#include <utility>

extern "C" {
#include "contract/channel.h"
#include "worker/retire/handoff_relay.h"
#include "worker/takeover/tcp_state.h"

// Of headers that C++ does not understand.
void interrupt_handoff_users(void);
bool interrupt_is_read_over(void);
void interrupt_note_readers(void (*note)(int fd));
void interrupt_waiting_threads(void);
void traffic_accepted(int fd);
void traffic_sent(int fd, const void* bytes, size_t size);
void traffic_received(int fd, const void* bytes, size_t size);
void takeover_set_ioctl(int (*ioctl)(int fd, unsigned long request, ...));
}

using namespace std::chrono_literals;

namespace {

enum { CALL_RUNNING = -3, CALL_NONE = -1 };  // worker/self.h

int handed_off = 0, counted = 0, taken = -1;
bool master_takes = true;
std::atomic<int> other_thread = 0;
std::atomic<long> other_call = CALL_NONE;
std::atomic<unsigned long> other_fd = 0;

}  // namespace

// What the hand-off needs of the rest of the worker.
extern "C" {

bool channel_send_with(liveswap_frame frame, const void*, size_t, int fd) {
  if (!master_takes) return false;
  handed_off += frame.kind == LIVESWAP_HANDOFF;
  taken = ::dup(fd);
  return true;
}
void connection_count_idle_handed_off(void) { ++counted; }
int64_t drain_age_ms(void) { return 0; }
int64_t drain_patience_ms(void) { return 30'000; }
int liveswap_close_lingering(int fd) { return ::close(fd); }

bool proc_self_each_thread(void (*visit)(int thread, void* context), void* context) {
  if (other_thread != 0) visit(other_thread, context);
  return true;
}
long proc_self_call(int, unsigned long* first_argument) {
  *first_argument = other_fd;
  return other_call;
}
bool proc_self_number(const char* path, const char* name, int base, unsigned long long* number) {
  std::ifstream file(std::string("/proc/self/") + path);
  for (std::string line; std::getline(file, line);) {
    if (line.rfind(name, 0) != 0) continue;
    *number = std::stoull(line.substr(std::strlen(name)), nullptr, base);
    return true;
  }
  return false;
}
}

namespace {

constexpr auto grace = 40ms;
const std::string request = "GET / HTTP/1.1\r\n\r\n",
                  answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

// A thread that is in a call, as far as anybody can tell, and lets no signal in before it leaves.
class Other {
 public:
  explicit Other(long call, int fd = -1) {
    other_call = call;
    other_fd = static_cast<unsigned long>(fd);
    thread_ = std::thread([this] {
      sigset_t all, before;
      sigfillset(&all);
      ::pthread_sigmask(SIG_BLOCK, &all, &before);
      other_thread = static_cast<int>(::syscall(SYS_gettid));
      other_thread.notify_all();
      leaves_.wait(false);
      other_call = SYS_futex;
      ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
      ends_.wait(false);
    });
    other_thread.wait(0);
  }
  ~Other() {
    leave();
    ends_ = true;
    ends_.notify_all();
    thread_.join();
    other_thread = 0;
    other_call = CALL_NONE;
  }
  void leave() {
    leaves_ = true;
    leaves_.notify_all();
    while (other_call != SYS_futex) std::this_thread::yield();
  }

 private:
  std::atomic<bool> leaves_ = false, ends_ = false;
  std::thread thread_;
};

// A connection, between client and application, that bears a placeholder from placeholder() on.
class Pair {
 public:
  Pair() {
    static const bool begun = handoff_begin(grace.count());
    REQUIRE(begun);
    handed_off = counted = 0;
    master_takes = true;
    const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{
        .sin_family = AF_INET, .sin_port = 0, .sin_addr = {htonl(INADDR_LOOPBACK)}, .sin_zero = {}};
    socklen_t size = sizeof address;
    REQUIRE(::bind(listener, reinterpret_cast<sockaddr*>(&address), size) == 0);
    REQUIRE(::listen(listener, 1) == 0);
    REQUIRE(::getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size) == 0);
    client = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    REQUIRE(::connect(client, reinterpret_cast<sockaddr*>(&address), size) == 0);
    app = ::accept(listener, nullptr, nullptr);
    before = ::dup(app);
    ::close(listener);
    for (const int fd : {client, app, before}) {
      const timeval limit{2, 0};
      ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    }
    traffic_accepted(app);
  }
  ~Pair() {
    for (const int fd : {client, app, before}) ::close(fd);
    // Ends what has been moved, and frees its place.
    for (int i = 0; i < 3; ++i) handoff_serve();
    if (taken >= 0) ::close(taken);
    taken = -1;
  }
  Pair(const Pair&) = delete;

  void placeholder(bool is_read = false) {
    connection now;
    int ends[2];
    REQUIRE(tcp_state_look(before, &now));
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
    const handoff_origin origin{.listener = 7, .fd = app, .received = received, .is_read = is_read};
    REQUIRE(handoff_take(::dup(before), ends[0], &origin) != nullptr);
    REQUIRE(::dup2(ends[1], app) == app);
    ::close(ends[1]);
  }
  void ask(const std::string& bytes = request) const {
    REQUIRE(::send(client, bytes.data(), bytes.size(), 0) > 0);
  }
  // By the call that began on `fd`, with what the host sees of it.
  std::string take(int fd) const {
    char bytes[256];
    const ssize_t size = ::recv(fd, bytes, sizeof bytes, 0);
    if (size > 0) traffic_received(app, bytes, static_cast<std::size_t>(size));
    return std::string(bytes, static_cast<std::size_t>(size > 0 ? size : 0));
  }
  void reply(int fd, const std::string& bytes = answer) const {
    REQUIRE(::send(fd, bytes.data(), bytes.size(), 0) > 0);
    traffic_sent(app, bytes.data(), bytes.size());
  }
  std::string hear() const {
    char bytes[256];
    const ssize_t size = ::recv(client, bytes, sizeof bytes, 0);
    return std::string(bytes, static_cast<std::size_t>(size > 0 ? size : 0));
  }

  int client = -1, app = -1, before = -1;
  std::uint64_t received = 0;  // what was accounted for when the placeholder came
};

void go_on() {
  handoff_serve();
  handoff_step();
  handoff_look();
}

// Everything that is due for so long.
void go_on_for(std::chrono::milliseconds time) {
  const auto end = std::chrono::steady_clock::now() + time;
  do {
    go_on();
    std::this_thread::sleep_for(1ms);
  } while (std::chrono::steady_clock::now() < end);
}

template <class Condition>
bool soon(Condition condition) {
  const auto end = std::chrono::steady_clock::now() + 5s;
  while (!condition() && std::chrono::steady_clock::now() < end) go_on_for(1ms);
  return condition();
}

}  // namespace

TEST_CASE("handoff: what a thread takes by a read that began before is the application's") {
  Pair pair;
  Other other(CALL_RUNNING);
  pair.ask();
  pair.placeholder();
  interrupt_handoff_users();
  CHECK(!interrupt_is_read_over());
  go_on_for(20ms);
  CHECK(handed_off == 0);
  CHECK(pair.take(pair.before) == request);
  other.leave();
  go_on_for(20ms);
  CHECK(handed_off == 0);
  CHECK(handoff_is_busy());
  pair.reply(pair.app);
  CHECK(soon([] { return !handoff_is_busy(); }));
  CHECK(pair.hear() == answer);
}

TEST_CASE("handoff: what no thread has taken when all have left their reads is the successor's") {
  Pair pair;
  Other other(CALL_RUNNING);
  pair.ask();
  pair.placeholder();
  interrupt_handoff_users();
  go_on_for(20ms);
  CHECK(handed_off == 0);
  other.leave();
  CHECK(soon([] { return handed_off == 1; }));
  CHECK(counted == 1);
  CHECK(pair.take(taken) == request);
}

TEST_CASE("handoff: threads in other calls are left alone, and nobody waits for them") {
  Pair pair;
  Other other(SYS_futex, pair.app);
  pair.ask();
  pair.placeholder();
  interrupt_handoff_users();
  CHECK(interrupt_is_read_over());
  handoff_serve();
  CHECK(handed_off == 1);
}

TEST_CASE("handoff: a thread that lets no signal in, and is seen elsewhere, is not waited for") {
  Pair pair;
  Other other(CALL_RUNNING);
  pair.placeholder();
  interrupt_handoff_users();
  CHECK(!interrupt_is_read_over());
  other_call = SYS_futex;
  CHECK(soon([] { return interrupt_is_read_over(); }));
}

TEST_CASE("handoff: a connection in which such a thread waits is ended, not handed off without a word") {
  Pair pair;
  Other other(CALL_RUNNING);
  pair.placeholder(true);
  interrupt_handoff_users();
  go_on_for(grace + 10ms);
  CHECK(handed_off == 0);
  char none;
  CHECK(soon([&] { return ::recv(pair.app, &none, 1, MSG_DONTWAIT) == 0; }));
  CHECK(handed_off == 0);
}

TEST_CASE(
    "handoff: a thread that runs may read anything; one that waits for datagrams is not disturbed by it") {
  static int noted;
  noted = 0;
  Other other(CALL_RUNNING);
  interrupt_note_readers([](int fd) { noted = fd; });
  CHECK(noted == -1);
  interrupt_waiting_threads();
  CHECK(interrupt_is_read_over());
}

TEST_CASE("handoff: what the application has answered by itself it does not owe") {
  for (const auto pause : {0ms, 20ms}) {
    CAPTURE(pause.count());
    Pair pair;
    pair.placeholder();
    pair.ask();
    CHECK(pair.take(pair.before) == request);
    std::this_thread::sleep_for(pause);
    pair.reply(pair.before);
    CHECK(pair.hear() == answer);
    CHECK(soon([] { return handed_off == 1; }));
  }
}

TEST_CASE(
    "handoff: what it has read by itself and not answered it owes, for however long, also when the client "
    "has left") {
  for (const bool leaves : {false, true}) {
    CAPTURE(leaves);
    Pair pair;
    pair.placeholder();
    pair.ask();
    CHECK(pair.take(pair.before) == request);
    if (leaves) ::shutdown(pair.client, SHUT_WR);
    go_on_for(4 * grace);
    CHECK(handed_off == 0);
    CHECK(handoff_is_busy());
    pair.reply(pair.app);
    CHECK(soon([] { return !handoff_is_busy(); }));
    CHECK(pair.hear() == answer);
  }
}

TEST_CASE("handoff: what has been passed on is being answered until the client has it") {
  Pair pair;
  pair.placeholder();
  master_takes = false;
  pair.ask();
  handoff_serve();
  CHECK(pair.take(pair.app) == request);
  ::shutdown(pair.client, SHUT_WR);
  go_on_for(3 * grace);
  CHECK(handoff_is_busy());
  pair.reply(pair.app);
  CHECK(handoff_is_busy());
  CHECK(soon([] { return !handoff_is_busy(); }));
  CHECK(pair.hear() == answer);
}

TEST_CASE(
    "handoff: an answer that the client has not taken yet is waited for, also when the client sends no "
    "more") {
  Pair pair;
  pair.placeholder();
  ::shutdown(pair.client, SHUT_WR);
  // The whole answer lies in the socket pair before the relay begins, and is larger than what TCP takes.
  const int small = 1, big = 1 << 20;
  REQUIRE(::setsockopt(pair.before, SOL_SOCKET, SO_SNDBUF, &small, sizeof small) == 0);
  REQUIRE(::setsockopt(pair.app, SOL_SOCKET, SO_SNDBUF, &big, sizeof big) == 0);
  const std::string large(300'000, 'x');
  REQUIRE(::send(pair.app, large.data(), large.size(), MSG_DONTWAIT) == static_cast<ssize_t>(large.size()));
  CHECK(soon([] { return handoff_is_busy(); }));
  go_on_for(3 * grace);
  CHECK(handoff_is_busy());
  std::size_t heard = 0;
  CHECK(soon([&] {
    static char bytes[1 << 20];
    for (ssize_t size; (size = ::recv(pair.client, bytes, sizeof bytes, MSG_DONTWAIT)) > 0;)
      heard += static_cast<std::size_t>(size);
    return heard == large.size();
  }));
}

TEST_CASE("handoff: an application whose answers nobody sees does not look as if it owed one") {
  Pair pair;
  pair.ask();
  CHECK(pair.take(pair.before) == request);
  pair.received = request.size();
  REQUIRE(::send(pair.before, answer.data(), answer.size(), 0) > 0);
  CHECK(pair.hear() == answer);
  pair.placeholder();
  CHECK(!handoff_is_busy());
  pair.ask();
  handoff_serve();
  CHECK(handed_off == 1);
}

TEST_CASE("handoff: the rest of a request goes to the one that has its beginning") {
  for (const std::string head : {"G", "POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\n"}) {
    CAPTURE(head);
    Pair pair;
    pair.ask(head);
    CHECK(pair.take(pair.before) == head);
    pair.received = head.size();
    pair.placeholder();
    CHECK(handoff_is_busy());
    pair.ask("hello");
    go_on_for(10ms);
    CHECK(handed_off == 0);
    CHECK(pair.take(pair.app) == "hello");
    pair.reply(pair.app);
    CHECK(soon([] { return !handoff_is_busy(); }));
    CHECK(pair.hear() == answer);
    pair.ask();
    CHECK(soon([] { return handed_off == 1; }));
  }
}

namespace {

const Pair* asked_at_look = nullptr;
int until_asked = 0;

// More comes in behind one of the calls of a look.
int look_and_ask(int fd, unsigned long what, ...) {
  va_list rest;
  va_start(rest, what);
  void* const value = va_arg(rest, void*);
  va_end(rest);
  const int done = ::ioctl(fd, what, value);
  if (until_asked-- == 0) asked_at_look->ask();
  return done;
}

}  // namespace

TEST_CASE("connection: what comes during a look is not taken for something that has been read") {
  for (int at = 0; at < 6; ++at) {
    CAPTURE(at);
    Pair pair;
    pair.ask();
    REQUIRE(pair.take(pair.before) == request);
    connection now;
    std::uint64_t unread = 0;
    asked_at_look = &pair;
    until_asked = at;
    takeover_set_ioctl(look_and_ask);
    CHECK(tcp_state_look_unread(pair.before, &now, &unread));
    takeover_set_ioctl(::ioctl);
    CHECK(now.received - unread == request.size());
  }
}
