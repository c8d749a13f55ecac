#include "master/sockets/listeners.hpp"

#include <doctest/doctest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <filesystem>
#include <fstream>
#include <map>

#include "config/address.hpp"
#include "master/sockets/sockets.hpp"
#include "test/support/temp_dir.hpp"

using namespace liveswap;
using namespace liveswap::master;
using liveswap::test::TempDir;

namespace {

Listeners open_one(ListenMode mode, unsigned slots) {
  auto opened = Listeners::open({{"http", "127.0.0.1:0"}}, mode, 128, slots);
  REQUIRE(opened.has_value());
  return std::move(*opened);
}

UniqueFd connect_to(int listener) {
  const auto where = address_of(listener);
  auto fd = UniqueFd::adopt(::socket(where.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  REQUIRE(::connect(fd.get(), where.get(), where.length) == 0);
  return fd;
}

// Makes new connections and counts how many each slot gets.
std::map<unsigned, int> deal(const Listeners& listeners, unsigned slots, int connections) {
  std::map<unsigned, int> dealt;
  for (int i = 0; i < connections; ++i) {
    const auto client = connect_to(listeners.of_slot(0)[0]);
    std::vector<pollfd> polls;
    for (unsigned slot = 0; slot < slots; ++slot) polls.push_back({listeners.of_slot(slot)[0], POLLIN, 0});
    REQUIRE(::poll(polls.data(), polls.size(), 10'000) == 1);
    for (unsigned slot = 0; slot < slots; ++slot) {
      if (!polls[slot].revents) continue;
      ++dealt[slot];
      ::close(::accept(polls[slot].fd, nullptr, nullptr));
    }
  }
  return dealt;
}

}  // namespace

TEST_CASE("every slot has its own socket on the port that the kernel chose") {
  const auto listeners = open_one(ListenMode::reuseport, 3);
  CHECK(listeners.names() == "http");
  const auto dealt = deal(listeners, 3, 200);
  CHECK(dealt.size() == 3);
}

TEST_CASE("in shared mode all slots have one socket") {
  const auto listeners = open_one(ListenMode::shared, 3);
  CHECK(listeners.of_slot(0) == listeners.of_slot(2));
}

TEST_CASE("connections are steered around slots, and back") {
  auto listeners = open_one(ListenMode::reuseport, 3);
  listeners.steer(3, {1});
  auto dealt = deal(listeners, 3, 100);
  CHECK(dealt.count(1) == 0);
  CHECK(dealt[0] > 0);
  CHECK(dealt[2] > 0);

  listeners.steer(3, {});
  CHECK(deal(listeners, 3, 200).size() == 3);
}

TEST_CASE("a set shrinks to the slots that are left, and grows again") {
  auto listeners = open_one(ListenMode::reuseport, 4);
  listeners.steer(2, {});
  for (const auto& [slot, count] : deal(listeners, 4, 100)) CHECK(slot < 2);
  listeners.shrink(2);
  listeners.steer(2, {});
  CHECK(deal(listeners, 2, 100).size() == 2);
  REQUIRE(listeners.grow(3).has_value());
  CHECK(deal(listeners, 3, 200).size() == 3);
}

TEST_CASE("a port that somebody listens on is refused in both modes") {
  const auto taken = open_one(ListenMode::reuseport, 1);
  const auto address = taken.bound()[0].address;
  for (const auto mode : {ListenMode::reuseport, ListenMode::shared}) {
    const auto second = Listeners::open({{"web", address}}, mode, 128, 2);
    REQUIRE_FALSE(second.has_value());
    CHECK(second.error().text.rfind("listener web: cannot bind " + address + ": Address already in use", 0) ==
          0);
  }
}

TEST_CASE("both families are served by *") {
  auto opened = Listeners::open({{"", "*:0"}}, ListenMode::reuseport, 128, 2);
  REQUIRE(opened.has_value());
  CHECK(opened->names() == "0");
  REQUIRE(opened->grow(3).has_value());
  const auto port =
      reinterpret_cast<const sockaddr_in6&>(address_of(opened->of_slot(0)[0]).storage).sin6_port;
  sockaddr_in v4{};
  v4.sin_family = AF_INET;
  v4.sin_port = port;
  v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const auto client = UniqueFd::adopt(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  CHECK(::connect(client.get(), reinterpret_cast<sockaddr*>(&v4), sizeof v4) == 0);
}

TEST_CASE("a Unix socket has one owner, and a dead one's is taken over") {
  const TempDir dir;
  const std::string path = dir / "app.sock";
  {
    const auto first = listen_unix(path, 0660, 16);
    REQUIRE(first.has_value());
    struct stat info {};
    REQUIRE(::stat(path.c_str(), &info) == 0);
    CHECK((info.st_mode & 0777) == 0660);
    const auto second = listen_unix(path, 0660, 16);
    REQUIRE_FALSE(second.has_value());
    CHECK(second.error().text.find("another liveswap master does") != std::string::npos);
  }
  CHECK(std::filesystem::exists(path));  // as after a kill -9
  CHECK(listen_unix(path, 0660, 16).has_value());
}

TEST_CASE("a path that is not ours to take is left alone") {
  const TempDir dir;
  std::ofstream(dir / "file") << "precious";
  const auto on_file = listen_unix(dir / "file", 0600, 16);
  REQUIRE_FALSE(on_file.has_value());
  CHECK(on_file.error().text.find("a file that is not a socket is there") != std::string::npos);
  CHECK(std::filesystem::file_size(dir / "file") == 8);

  sockaddr_un stranger{};
  stranger.sun_family = AF_UNIX;
  (dir / "living").copy(stranger.sun_path, sizeof stranger.sun_path - 1);
  const auto fd = UniqueFd::adopt(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  REQUIRE(::bind(fd.get(), reinterpret_cast<sockaddr*>(&stranger), sizeof stranger) == 0);
  REQUIRE(::listen(fd.get(), 1) == 0);
  const auto on_living = listen_unix(dir / "living", 0600, 16);
  REQUIRE_FALSE(on_living.has_value());
  CHECK(on_living.error().text.find("another program does") != std::string::npos);

  const auto too_long = listen_unix(dir / std::string(120, 'x'), 0600, 16);
  REQUIRE_FALSE(too_long.has_value());
  CHECK(too_long.error().text.find("at most 107 bytes") != std::string::npos);
}
