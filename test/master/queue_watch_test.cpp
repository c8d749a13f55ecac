#include "master/sockets/queue_watch.hpp"

#include <doctest/doctest.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "app_listeners_fixture.hpp"

using namespace liveswap;
using namespace liveswap::master;
using liveswap::test::connect_to, liveswap::test::port_of, liveswap::test::socket_for, liveswap::test::Where;

namespace {

UniqueFd listener() {
  auto fd = socket_for(Where::v4(0));
  REQUIRE(::listen(fd.get(), 16) == 0);
  return fd;
}

UniqueFd client_of(const UniqueFd& listener) {
  auto fd = connect_to(Where::v4(port_of(listener.get())));
  REQUIRE(fd);
  return fd;
}

ino_t inode_of(int fd) {
  struct stat info {};
  REQUIRE(::fstat(fd, &info) == 0);
  return info.st_ino;
}

class Watched {
 public:
  Watched() {
    REQUIRE(uv_loop_init(&loop_) == 0);
    queues.emplace(loop_, QueueWatch::Handlers{[this] {
                                                 ++shut_down;
                                                 ::listen(shut, 16);
                                               },
                                               [this](const QueueWatch::Place& place, ino_t inode) {
                                                 waiting += place.listener;
                                                 last = inode;
                                               }});
  }
  Watched(const Watched&) = delete;
  ~Watched() {
    queues.reset();
    uv_run(&loop_, UV_RUN_DEFAULT);
    CHECK(uv_loop_close(&loop_) == 0);
  }
  // Counts the loop's turns in which something happens; an idle loop sleeps.
  template <class Condition>
  bool until(Condition condition) {
    for (int i = 0; i < 20'000 && !condition(); ++i) {
      uv_run(&loop_, UV_RUN_NOWAIT);
      ::poll(nullptr, 0, 1);
    }
    return condition();
  }
  bool has_timer() { return uv_backend_timeout(&loop_) > 0; }

  std::optional<QueueWatch> queues;
  std::string waiting;
  ino_t last = 0;
  int shut_down = 0;
  int shut = -1;

 private:
  uv_loop_t loop_{};
};

}  // namespace

TEST_CASE("queue watch: a queue that is emptied is nothing, and nothing is done while nothing comes") {
  Watched watched;
  const auto fd = listener();
  watched.queues->watch({{fd.get(), "a", {0}}});
  CHECK_FALSE(watched.has_timer());
  const auto client = client_of(fd);
  CHECK(watched.until([&] { return watched.has_timer(); }));
  const auto accepted = UniqueFd::adopt(::accept(fd.get(), nullptr, nullptr));
  CHECK(watched.until([&] { return !watched.has_timer(); }));
  CHECK(watched.waiting.empty());
}

TEST_CASE("queue watch: connections that wait again and again are told, with the socket's inode") {
  Watched watched;
  const auto one = listener(), other = listener();
  watched.queues->watch({{one.get(), "a", {0}}, {other.get(), "b", {1}}});
  const auto client = client_of(other);
  CHECK(watched.until([&] { return !watched.waiting.empty(); }));
  CHECK(watched.waiting == "b");
  CHECK(watched.last == inode_of(other.get()));
}

TEST_CASE("queue watch: a socket that was shut down is told at once, and watched again") {
  Watched watched;
  const auto fd = listener();
  watched.shut = fd.get();
  watched.queues->watch({{fd.get(), "a", {0}}});
  REQUIRE(::shutdown(fd.get(), SHUT_RDWR) == 0);
  CHECK(watched.until([&] { return watched.shut_down == 1; }));
  CHECK(watched.until([&] { return !watched.has_timer(); }));
  CHECK(watched.shut_down == 1);
  const auto client = client_of(fd);
  CHECK(watched.until([&] { return watched.waiting == "a"; }));
}

TEST_CASE("queue watch: whether a process has a socket open") {
  const auto fd = listener();
  const auto inode = inode_of(fd.get());
  CHECK(has_socket_open(::getpid(), inode) == true);
  const pid_t child = ::fork();
  if (child == 0) {
    ::close(fd.get());
    for (;;) ::pause();
  }
  bool closed = false;
  for (int i = 0; i < 5'000 && !closed; ++i) {
    closed = has_socket_open(child, inode) == false;
    ::poll(nullptr, 0, 1);
  }
  CHECK(closed);
  // This process has a child, which may have the socket, too.
  CHECK_FALSE(has_socket_open(::getpid(), 1).has_value());
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  CHECK_FALSE(has_socket_open(child, inode).has_value());
}
