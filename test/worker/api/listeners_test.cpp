// The listeners that the master holds for a worker (api/listeners.h). Each in a child: the table is never
// emptied.
#include "../host_headers.hpp"
#include "../in_child.hpp"
#include "../master_end.hpp"
#include "../sockets.hpp"
#include "test/support/temp_dir.hpp"

#include <doctest/doctest.h>

#include <cerrno>
#include <filesystem>
#include <string>
#include <vector>

#include "liveswap_plugin.h"

extern "C" {
#include "worker/api/listeners.h"
#include "worker/base/fd_flags.h"
}

using namespace liveswap;
using namespace liveswap::test;

namespace {

constexpr int PLACE = LIVESWAP_FD_LISTENERS, MOST = LIVESWAP_LISTENERS_MAX, ALL = 2 * MOST;

void lend(int number, const UniqueFd& fd) { REQUIRE(::dup2(fd.get(), PLACE + number) == PLACE + number); }

bool adopt(const std::string& names) {
  static std::string kept;
  kept = names;
  return listeners_adopt(kept.data());
}

bool is_blocking(int fd) { return (::fcntl(fd, F_GETFL) & O_NONBLOCK) == 0; }

UniqueFd duplicate(const UniqueFd& fd) { return UniqueFd::adopt(::fcntl(fd.get(), F_DUPFD_CLOEXEC, 100)); }

// What the master holds from then on; checked, for nothing works without it.
const listener* add(const UniqueFd& fd) {
  REQUIRE(listeners_add(fd.get()));
  const listener* const added = listeners_find(fd.get());
  REQUIRE(added != nullptr);
  return added;
}

}  // namespace

TEST_CASE("listeners: none") {
  CHECK(in_child([] {
    REQUIRE(adopt(""));
    REQUIRE(listeners_first() == -1);
    REQUIRE(!listeners_bound());
    REQUIRE(!listeners_expected());
    REQUIRE(listeners_have_room());
    REQUIRE(listeners_find(0) == nullptr);
    REQUIRE(listeners_with(0) == nullptr);
    bool is_last = false;
    REQUIRE(listeners_file(0, &is_last) == nullptr);
    REQUIRE(is_last);
    errno = 0;
    REQUIRE(liveswap_listener("0") == -1);
    REQUIRE(errno == ENOENT);
  }));
}

TEST_CASE("listeners: those that were lent, by name, in their order") {
  CHECK(in_child([] {
    const UniqueFd web = listen_inet(), datagrams = listen_inet(INADDR_LOOPBACK, SOCK_DGRAM);
    lend(0, web);
    lend(1, datagrams);
    REQUIRE(is_blocking(web.get()));
    REQUIRE(adopt("web,udp"));
    REQUIRE(listeners_first() == PLACE);
    REQUIRE(liveswap_listener("web") == PLACE);
    REQUIRE(liveswap_listener("udp") == PLACE + 1);
    for (const int fd : {PLACE, PLACE + 1}) {
      REQUIRE(fd_flags(fd) == FLAG_HELD);
      REQUIRE((::fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
      REQUIRE(!is_blocking(fd));
    }
    for (const char* const name : {"", "we", "webs", "web,udp", "0"}) {
      errno = 0;
      REQUIRE(liveswap_listener(name) == -1);
      REQUIRE(errno == ENOENT);
    }
    errno = 0;
    REQUIRE(liveswap_listener(nullptr) == -1);
    REQUIRE(errno == EINVAL);
    REQUIRE(!listeners_bound());
  }));
}

TEST_CASE("listeners: a descriptor that is missing, or is no socket, is refused") {
  CHECK(in_child([] {
    lend(0, listen_inet());
    ::close(PLACE + 1);
    REQUIRE(!adopt("web,more"));
  }));
  CHECK(in_child([] { REQUIRE(!adopt("web")); }));  // /dev/null is there
}

TEST_CASE("listeners: as many as the master may lend, and no more") {
  CHECK(in_child([] {
    std::string names;
    for (int i = 0; i < MOST; ++i) {
      lend(i, listen_inet());
      names += (i > 0 ? "," : "") + std::to_string(i);
    }
    REQUIRE(adopt(names));
    REQUIRE(liveswap_listener(std::to_string(MOST - 1).c_str()) == PLACE + MOST - 1);
  }));
  CHECK(in_child([] {
    std::string names;
    for (int i = 0; i <= MOST; ++i) {
      lend(i, listen_inet());
      names += (i > 0 ? "," : "") + std::to_string(i);
    }
    REQUIRE(!adopt(names));
  }));
}

TEST_CASE("listeners: a duplicate is the same listener, another socket at the same address is not") {
  CHECK(in_child([] {
    const UniqueFd web = listen_inet(), other = listen_inet();
    lend(0, web);
    REQUIRE(adopt("web"));
    const listener* const found = listeners_find(PLACE);
    REQUIRE(found != nullptr);
    REQUIRE(std::string(found->name) == "web");
    REQUIRE(found->type == SOCK_STREAM);
    REQUIRE(listeners_find(duplicate(web).get()) == found);
    REQUIRE(listeners_with(cookie_of(web.get())) == found);
    REQUIRE(listeners_find(other.get()) == nullptr);
    errno = ENOTTY;
    for (const int fd : {-1, 0, other.get()}) REQUIRE(listeners_find(fd) == nullptr);
    REQUIRE(errno == ENOTTY);
  }));
}

TEST_CASE("listeners: by its flag, and a flag that is out of date goes") {
  CHECK(in_child([] {
    const UniqueFd web = listen_inet();
    lend(0, web);
    REQUIRE(adopt("web"));
    REQUIRE(listeners_held(PLACE) != nullptr);
    // Nobody has said that this is one.
    REQUIRE(listeners_held(web.get()) == nullptr);
    REQUIRE(::dup2(listen_inet().get(), PLACE) == PLACE);
    REQUIRE(listeners_held(PLACE) == nullptr);
    REQUIRE(fd_flags(PLACE) == 0);
    REQUIRE(listeners_held(-1) == nullptr);
  }));
}

TEST_CASE("listeners: one that the application has bound") {
  CHECK(in_child([] {
    const UniqueFd web = listen_inet(), own = listen_inet();
    lend(0, web);
    REQUIRE(adopt("web"));
    const listener* const added = add(own);
    REQUIRE(added->name == nullptr);
    REQUIRE(listeners_bound());
    // Whether it blocks is the application's to say.
    REQUIRE(is_blocking(own.get()));
    REQUIRE(listeners_first() == PLACE);
    // A second time it is the same.
    REQUIRE(add(duplicate(own)) == added);
    REQUIRE(listeners_find(PLACE) != added);
    REQUIRE(!listeners_add(0));
    REQUIRE(!listeners_add(-1));
  }));
}

TEST_CASE("listeners: the table has an end, and a place that was forgotten is free") {
  CHECK(in_child([] {
    std::vector<UniqueFd> bound;
    for (int i = 0; i < ALL; ++i) {
      REQUIRE(listeners_have_room());
      bound.push_back(listen_inet());
      add(bound.back());
    }
    REQUIRE(!listeners_have_room());
    const UniqueFd more = listen_inet();
    errno = 0;
    REQUIRE(!listeners_add(more.get()));
    REQUIRE(errno == EMFILE);
    REQUIRE(listeners_find(more.get()) == nullptr);
    // One that is known needs no room.
    REQUIRE(listeners_add(bound[5].get()));
    const listener* const forgotten = listeners_find(bound[7].get());
    listeners_forget(forgotten);
    REQUIRE(listeners_find(bound[7].get()) == nullptr);
    REQUIRE(!listeners_have_port(port_of(bound[7])));
    REQUIRE(listeners_have_room());
    REQUIRE(add(more) == forgotten);
    REQUIRE(listeners_have_port(port_of(more)));
    REQUIRE(!listeners_have_room());
  }));
}

TEST_CASE(
    "listeners: one that was closed makes room for its own address alone, since its connections outlive it") {
  CHECK(in_child([] {
    std::vector<UniqueFd> bound;
    const TempDir directory;
    bound.push_back(listen_unix(directory / "socket"));
    const listener* const first = add(bound[0]);
    for (int i = 1; i < ALL; ++i) {
      bound.push_back(listen_inet());
      add(bound.back());
    }
    const UniqueFd other = listen_unix(directory / "other");
    listeners_closed(first);
    REQUIRE(!listeners_have_room());
    REQUIRE(!listeners_add(other.get()));
    std::filesystem::remove(directory / "socket");
    const UniqueFd again = listen_unix(directory / "socket");
    REQUIRE(add(again) == first);
    REQUIRE(listeners_find(bound[0].get()) == nullptr);
    REQUIRE(!first->closed);
  }));
}

TEST_CASE("listeners: one that is bound again is as new") {
  CHECK(in_child([] {
    const UniqueFd own = listen_inet();
    const listener* const added = add(own);
    REQUIRE(listeners_expect(added));
    REQUIRE(listeners_note_wait(added));
    listeners_closed(added);
    REQUIRE(added->closed);
    REQUIRE(add(own) == added);
    REQUIRE(!added->closed);
    REQUIRE(!added->waited);
    REQUIRE(listeners_expect(added));
    // While it is open, adding it changes nothing.
    REQUIRE(listeners_note_wait(added));
    REQUIRE(add(own) == added);
    REQUIRE(added->waited);
  }));
}

TEST_CASE("listeners: renewed it is another socket at the same address") {
  CHECK(in_child([] {
    const UniqueFd before = listen_inet(), after = listen_inet();
    const listener* const added = add(before);
    listeners_renew(added, cookie_of(after.get()));
    REQUIRE(listeners_find(after.get()) == added);
    REQUIRE(listeners_find(before.get()) == nullptr);
    REQUIRE(listeners_have_port(port_of(before)));
  }));
}

TEST_CASE("listeners: one that is expected, until it is waited for or closed") {
  CHECK(in_child([] {
    const UniqueFd fd = listen_inet(), second = listen_inet();
    const listener *const one = add(fd), *const other = add(second);
    REQUIRE(!listeners_expected());
    REQUIRE(!listeners_expect(nullptr));
    REQUIRE(listeners_expect(one));
    REQUIRE(!listeners_expect(one));
    REQUIRE(listeners_expected());
    REQUIRE(!one->waited);
    REQUIRE(listeners_note_wait(one));
    REQUIRE(!listeners_note_wait(one));
    REQUIRE(one->waited);
    REQUIRE(!listeners_expected());
    // What is waited for already is not expected any more.
    REQUIRE(!listeners_expect(one));
    REQUIRE(listeners_note_wait(other));
    REQUIRE(!listeners_expect(other));
    REQUIRE(!listeners_expected());
  }));
  CHECK(in_child([] {
    const UniqueFd fd = listen_inet(), second = listen_inet();
    const listener *const one = add(fd), *const other = add(second);
    REQUIRE(listeners_expect(one));
    REQUIRE(listeners_expect(other));
    listeners_closed(one);
    REQUIRE(listeners_expected());
    listeners_forget(other);
    REQUIRE(!listeners_expected());
  }));
}

TEST_CASE("listeners: asking for one by name means that it is expected") {
  CHECK(in_child([] {
    lend(0, listen_inet());
    REQUIRE(adopt("web"));
    REQUIRE(!listeners_expected());
    REQUIRE(liveswap_listener("web") >= 0);
    REQUIRE(listeners_expected());
  }));
}

TEST_CASE("listeners: since when nobody is seen to wait, and whether it is read") {
  CHECK(in_child([] {
    const UniqueFd fd = listen_inet(INADDR_LOOPBACK, SOCK_DGRAM);
    const listener* const added = add(fd);
    REQUIRE(listeners_unseen_since(added, 100) == 100);
    REQUIRE(listeners_unseen_since(added, 900) == 100);
    REQUIRE(!added->is_read);
    listeners_note_read(added);
    REQUIRE(added->is_read);
    // In its place another one begins anew.
    listeners_forget(added);
    const UniqueFd next = listen_inet();
    REQUIRE(add(next) == added);
    REQUIRE(listeners_unseen_since(added, 900) == 900);
    REQUIRE(!added->is_read);
  }));
}

TEST_CASE("listeners: the one by which a connection has come in") {
  CHECK(in_child([] {
    const TempDir directory;
    const UniqueFd web = listen_inet(), all = listen_inet(INADDR_ANY),
                   local = listen_unix(directory / "socket"),
                   abstract = listen_unix("@liveswap-units-" + std::to_string(::getpid())),
                   foreign = listen_inet();
    for (const UniqueFd* const each : {&web, &all, &local, &abstract}) {
      const listener* const added = add(*each);
      const Connection connection(*each);
      REQUIRE(listeners_accepted(connection.server.get()) == added);
      REQUIRE(listeners_accepted(connection.client.get()) == nullptr);
      REQUIRE(listeners_accepted(each->get()) == nullptr);  // it is no connection
    }
    const Connection other(foreign);
    REQUIRE(listeners_accepted(other.server.get()) == nullptr);
    for (const int fd : {-1, 0}) REQUIRE(listeners_accepted(fd) == nullptr);
    int pair[2];
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
    for (const int fd : pair) REQUIRE(listeners_accepted(fd) == nullptr);
    const Connection late(web);
    listeners_forget(listeners_find(web.get()));
    REQUIRE(listeners_accepted(late.server.get()) == nullptr);
  }));
}

TEST_CASE("listeners: of several at one port, the one whose address fits best") {
  CHECK(in_child([] {
    const UniqueFd first = listen_inet();
    sockaddr_in v4{};
    socklen_t size = sizeof v4;
    REQUIRE(::getsockname(first.get(), reinterpret_cast<sockaddr*>(&v4), &size) == 0);
    v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1);
    const UniqueFd second = listen_on(reinterpret_cast<const sockaddr*>(&v4), sizeof v4, SOCK_STREAM);
    sockaddr_in6 v6{};
    v6.sin6_family = AF_INET6, v6.sin6_port = v4.sin_port, v6.sin6_addr = in6addr_loopback;
    const UniqueFd third = listen_on(reinterpret_cast<const sockaddr*>(&v6), sizeof v6, SOCK_STREAM);
    for (const UniqueFd* const each : {&first, &second, &third}) add(*each);
    REQUIRE(listeners_accepted(Connection(first).server.get()) == listeners_find(first.get()));
    REQUIRE(listeners_accepted(Connection(third).server.get()) == listeners_find(third.get()));
    const UniqueFd client = UniqueFd::adopt(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    REQUIRE(::connect(client.get(), reinterpret_cast<const sockaddr*>(&v4), sizeof v4) == 0);
    const UniqueFd server = UniqueFd::adopt(::accept4(second.get(), nullptr, nullptr, SOCK_CLOEXEC));
    REQUIRE(listeners_accepted(server.get()) == listeners_find(second.get()));
  }));
}

TEST_CASE("listeners: no connection comes in by a socket for datagrams") {
  CHECK(in_child([] {
    const UniqueFd stream = listen_inet();
    sockaddr_in address{};
    address.sin_family = AF_INET, address.sin_port = htons(port_of(stream));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const UniqueFd datagrams =
        listen_on(reinterpret_cast<const sockaddr*>(&address), sizeof address, SOCK_DGRAM);
    add(datagrams);
    REQUIRE(listeners_accepted(Connection(stream).server.get()) == nullptr);
    REQUIRE(!listeners_have_port(port_of(stream)));
    const listener* const added = add(stream);
    REQUIRE(listeners_accepted(Connection(stream).server.get()) == added);
  }));
}

TEST_CASE("listeners: by port") {
  CHECK(in_child([] {
    const UniqueFd web = listen_inet();
    sockaddr_in6 address{};
    address.sin6_family = AF_INET6, address.sin6_addr = in6addr_loopback;
    REQUIRE(!listeners_have_port(port_of(web)));
    add(web);
    REQUIRE(listeners_have_port(port_of(web)));
    REQUIRE(!listeners_have_port(0));
    if (::access("/proc/net/if_inet6", F_OK) != 0) return;  // a machine without IPv6
    const UniqueFd six = listen_on(reinterpret_cast<const sockaddr*>(&address), sizeof address);
    socklen_t size = sizeof address;
    REQUIRE(::getsockname(six.get(), reinterpret_cast<sockaddr*>(&address), &size) == 0);
    add(six);
    REQUIRE(listeners_have_port(ntohs(address.sin6_port)));
  }));
}

TEST_CASE("listeners: by path, the whole of it") {
  CHECK(in_child([] {
    const TempDir directory;
    const std::string path = directory / "socket", name = "@liveswap-units-" + std::to_string(::getpid());
    const UniqueFd local = listen_unix(path), abstract = listen_unix(name), web = listen_inet(),
                   datagrams = listen_unix(directory / "datagrams", SOCK_DGRAM);
    REQUIRE(listeners_at(path.c_str()) == nullptr);
    for (const UniqueFd* const each : {&web, &local, &abstract, &datagrams}) add(*each);
    REQUIRE(listeners_at(path.c_str()) == listeners_find(local.get()));
    REQUIRE(listeners_at(name.c_str()) == listeners_find(abstract.get()));
    REQUIRE(listeners_at(path.c_str()) != nullptr);
    for (const std::string& other : {path + "s", path.substr(0, path.size() - 1), std::string(), name + "s",
                                     name.substr(0, name.size() - 1), "@" + path, directory / "datagrams"}) {
      REQUIRE(listeners_at(other.c_str()) == nullptr);
    }
    listeners_forget(listeners_find(local.get()));
    REQUIRE(listeners_at(path.c_str()) == nullptr);
  }));
}

TEST_CASE("listeners: a path as long as an address can have") {
  CHECK(in_child([] {
    const TempDir directory;
    std::string path = directory / "";
    path += std::string(sizeof(sockaddr_un::sun_path) - 1 - path.size(), 'p');
    const UniqueFd local = listen_unix(path);
    add(local);
    REQUIRE(listeners_at(path.c_str()) != nullptr);
    bool is_last = false;
    REQUIRE(listeners_file(0, &is_last) == path);
  }));
}

TEST_CASE("listeners: the files of all") {
  CHECK(in_child([] {
    const TempDir directory;
    const UniqueFd web = listen_inet(), local = listen_unix(directory / "socket"),
                   abstract = listen_unix("@liveswap-units-" + std::to_string(::getpid())),
                   forgotten = listen_unix(directory / "forgotten");
    for (const UniqueFd* const each : {&web, &local, &abstract, &forgotten}) add(*each);
    listeners_forget(listeners_find(forgotten.get()));
    std::vector<std::string> files;
    bool is_last = false;
    int number = 0;
    for (; !is_last; ++number)
      if (const char* const file = listeners_file(number, &is_last); file != nullptr)
        files.emplace_back(file);
    REQUIRE(number == 4);
    REQUIRE(files == std::vector<std::string>{directory / "socket"});
    REQUIRE(listeners_file(1000, &is_last) == nullptr);
    REQUIRE(is_last);
  }));
}

TEST_CASE(
    "listeners: they are taken over from when it is said, while there is a channel, and not in a child") {
  CHECK(in_child([] {
    MasterEnd master;
    takeover_begin();
    REQUIRE(!takeover_is_on());
    REQUIRE(master.adopt());
    REQUIRE(takeover_is_on());
    REQUIRE(in_child([] { REQUIRE(!takeover_is_on()); }));
    REQUIRE(takeover_is_on());
  }));
  CHECK(in_child([] {
    MasterEnd master;
    REQUIRE(master.adopt());
    REQUIRE(!takeover_is_on());
  }));
}
