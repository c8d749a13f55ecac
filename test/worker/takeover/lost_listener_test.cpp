// A Unix listener whose file is gone, or is renamed, is replaced everywhere (takeover/lost_listener.h).
#include "../unit_worker.hpp"

#include <doctest/doctest.h>

#include <cerrno>
#include <cstdio>

#include "test/support/temp_dir.hpp"

extern "C" {
#include "worker/takeover/accept_waiters.h"
#include "worker/takeover/adopted_connections.h"
#include "worker/takeover/connection_count.h"
#include "worker/takeover/lost_listener.h"
#include "worker/takeover/revoke.h"
}

using namespace liveswap;
using namespace liveswap::test;

namespace {

struct Worker : UnitWorker {
  Worker() { accept_waiters_setup(); }
  TempDir directory;
  std::string path = directory / "socket";
  UniqueFd fd = listen_unix(path), masters = duplicate(fd);
  const listener* held = hold(fd);
  std::uint64_t cookie = cookie_of(fd.get());
  // What the master binds when the file is gone; away from the numbers of what is replaced.
  int bind_again() const {
    std::remove(path.c_str());
    return ::fcntl(listen_unix(path).get(), F_DUPFD_CLOEXEC, 200);
  }
};

UniqueFd connect_to(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  UniqueFd client = UniqueFd::adopt(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  REQUIRE(::connect(client.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  return client;
}

}  // namespace

TEST_CASE("lost listener: all its descriptors are the new socket, with their flags, in epolls too") {
  CHECK(in_child([] {
    const Worker worker;
    const UniqueFd copy = duplicate(worker.fd), epoll = make_epoll();
    watch(epoll, worker.fd.get(), 5);
    fd_flags_set(copy.get(), FLAG_HELD | FLAG_POLLED);
    const int by = worker.bind_again();
    const std::uint64_t fresh = cookie_of(by);
    lost_listener_replace(worker.cookie, by);
    REQUIRE(!is_open(by));
    REQUIRE(cookie_of(worker.fd.get()) == fresh);
    REQUIRE(cookie_of(copy.get()) == fresh);
    REQUIRE(fd_flags(worker.fd.get()) == FLAG_HELD);
    REQUIRE(fd_flags(copy.get()) == (FLAG_HELD | FLAG_POLLED));
    REQUIRE(listeners_find(worker.fd.get()) == worker.held);
    REQUIRE(listeners_with(worker.cookie) == nullptr);
    const UniqueFd client = connect_to(worker.path);
    REQUIRE(reported(epoll) == std::vector<std::uint64_t>{5});
    const UniqueFd accepted = UniqueFd::adopt(::accept(worker.fd.get(), nullptr, nullptr));
    REQUIRE(listeners_accepted(accepted.get()) == worker.held);
    while (const auto frame = worker.receive()) REQUIRE(frame->kind != LIVESWAP_LOG);
  }));
}

TEST_CASE("lost listener: who had connected to the former socket is accepted all the same") {
  CHECK(in_child([] {
    const Worker worker;
    const UniqueFd first = connect_to(worker.path), second = connect_to(worker.path);
    lost_listener_replace(worker.cookie, worker.bind_again());
    for (const UniqueFd* const client : {&first, &second}) {
      const UniqueFd accepted =
          UniqueFd::adopt(adopted_accept(worker.fd.get(), nullptr, nullptr, SOCK_CLOEXEC));
      REQUIRE(accepted);
      REQUIRE(::send(accepted.get(), "x", 1, MSG_NOSIGNAL) == 1);
      char byte = 0;
      REQUIRE(::recv(client->get(), &byte, 1, 0) == 1);
    }
    REQUIRE(adopted_accept(worker.fd.get(), nullptr, nullptr, 0) == -1);
    // Others accept from the former socket too: it must not block this worker's control thread.
    REQUIRE(!is_blocking(worker.masters.get()));
  }));
}

TEST_CASE("lost listener: one that this worker does not have is another's") {
  CHECK(in_child([] {
    const Worker worker;
    const int by = worker.bind_again();
    lost_listener_replace(worker.cookie + 1, by);
    REQUIRE(!is_open(by));
    REQUIRE(cookie_of(worker.fd.get()) == worker.cookie);
    REQUIRE(listeners_with(worker.cookie) == worker.held);
    lost_listener_replace(worker.cookie, ::fcntl(0, F_DUPFD_CLOEXEC, 200));  // no socket
    REQUIRE(cookie_of(worker.fd.get()) == worker.cookie);
  }));
}

TEST_CASE("lost listener: once all are taken away nothing is put back") {
  CHECK(in_child([] {
    const Worker worker;
    revoke_listeners();
    const std::uint64_t placeholder = cookie_of(worker.fd.get());
    const int by = worker.bind_again();
    lost_listener_replace(worker.cookie, by);
    REQUIRE(cookie_of(worker.fd.get()) == placeholder);
    REQUIRE(listeners_with(worker.cookie) == worker.held);
    REQUIRE(!is_open(by));
  }));
}

TEST_CASE("lost listener: what cannot be replaced everywhere is said") {
  CHECK(in_child([] {
    const Worker worker;
    const UniqueFd epoll = make_epoll();
    watch(epoll, worker.fd.get(), 5);
    const int by = worker.bind_again();
    {
      const NoMoreDescriptors full;
      lost_listener_replace(worker.cookie, by);
    }
    bool is_said = false;
    while (const auto frame = worker.receive())
      is_said =
          is_said || frame->text.find("could not be replaced in all of its descriptors") != std::string::npos;
    REQUIRE(is_said);
  }));
}

TEST_CASE("lost listener: renamed, it is the listener at the new path") {
  CHECK(in_child([] {
    const Worker worker;
    const UniqueFd copy = duplicate(worker.fd), by = listen_unix(worker.directory / "renamed");
    const std::uint64_t fresh = cookie_of(by.get());
    REQUIRE(lost_listener_renamed(worker.held, by.get()));
    REQUIRE(is_open(by.get()));  // borrowed
    REQUIRE(cookie_of(worker.fd.get()) == fresh);
    REQUIRE(cookie_of(copy.get()) == fresh);
    REQUIRE(fd_flags(worker.fd.get()) == FLAG_HELD);
    REQUIRE(listeners_at((worker.directory / "renamed").c_str()) != nullptr);
    REQUIRE(listeners_at(worker.path.c_str()) == nullptr);
    REQUIRE(listeners_with(worker.cookie) == nullptr);
  }));
}

TEST_CASE("lost listener: what came in before the renaming still counts") {
  CHECK(in_child([] {
    const Worker worker;
    const UniqueFd client = connect_to(worker.path);
    const UniqueFd accepted = UniqueFd::adopt(::accept(worker.fd.get(), nullptr, nullptr));
    const UniqueFd by = listen_unix(worker.directory / "renamed");
    REQUIRE(listeners_accepted(accepted.get()) == worker.held);
    REQUIRE(lost_listener_renamed(worker.held, by.get()));
    REQUIRE(listeners_accepted(accepted.get()) == worker.held);
    REQUIRE(connection_count() == 1);
    // Bound again at the former path, it has the former entry.
    std::remove(worker.path.c_str());
    const UniqueFd again = listen_unix(worker.path);
    REQUIRE(listeners_add(again.get()));
    REQUIRE(listeners_find(again.get()) == worker.held);
  }));
}

TEST_CASE("lost listener: a renaming that cannot be done everywhere says so, and both are known") {
  CHECK(in_child([] {
    const Worker worker;
    const UniqueFd epoll = make_epoll(), by = listen_unix(worker.directory / "renamed");
    watch(epoll, worker.fd.get(), 5);
    const NoMoreDescriptors full;
    errno = 0;
    REQUIRE(!lost_listener_renamed(worker.held, by.get()));
    REQUIRE(errno == EMFILE);
    REQUIRE(listeners_with(worker.cookie) == worker.held);
    REQUIRE(listeners_find(by.get()) != nullptr);
  }));
}
