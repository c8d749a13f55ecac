#include "verify/proc.hpp"

#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <map>

#include "base/unique_fd.hpp"
#include "load/dialer.hpp"
#include "verify/connections.hpp"
#include "verify/workplace.hpp"

namespace liveswap::verify {
namespace {

TEST_CASE("the clients of a process are those whose connections it has accepted") {
  const auto listener = UniqueFd::adopt(::socket(AF_INET, SOCK_STREAM, 0));
  REQUIRE(::listen(listener.get(), 8) == 0);
  const std::uint16_t port = load::local_port(listener.get());
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const auto dial = [&] {
    auto fd = UniqueFd::adopt(::socket(AF_INET, SOCK_STREAM, 0));
    REQUIRE(::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
    return fd;
  };
  const auto first = dial();
  CHECK(clients_of(::getpid(), port)->empty());
  auto accepted = UniqueFd::adopt(::accept(listener.get(), nullptr, nullptr));
  const auto waiting = dial();
  CHECK(*clients_of(::getpid(), port) == std::set<std::uint16_t>{load::local_port(first.get())});
  // Both ways find the accepted connection, and the waiting one, which has no process.
  const auto of = [&](const std::vector<ServerSide>& sides) {
    std::map<std::uint16_t, bool> owned;
    for (const ServerSide& side : sides) owned[side.client] = side.inode != 0;
    return owned;
  };
  const std::map<std::uint16_t, bool> expected{{load::local_port(first.get()), true},
                                               {load::local_port(waiting.get()), false}};
  std::vector<ServerSide> by_diag;
  if (connections_by_diag(port, by_diag)) CHECK(of(by_diag) == expected);
  CHECK(of(connections_by_proc(port)) == expected);
  CHECK(clients_of(::getpid(), static_cast<std::uint16_t>(port + 1))->empty());
  accepted.reset();
  CHECK(clients_of(::getpid(), port)->empty());
}

TEST_CASE("what /proc says about this process") {
  CHECK(state_of(::getpid()) == 'R');
  CHECK(name_of(::getpid()) == "verify-tests");
  CHECK(children_of(::getpid()).empty());
  CHECK(state_of(0) == 0);
}

TEST_CASE("a place is gone with its object; a copied library has its neighbours beside it") {
  std::string where;
  {
    const auto place = Workplace::make();
    REQUIRE(place);
    where = *place / "";
    std::filesystem::create_directory(*place / "lib");
    std::ofstream(*place / "lib/libapp.so") << "app";
    std::ofstream(*place / "lib/libprivate.so.1") << "private";
    const auto copy = place->copy_release(*place / "lib/libapp.so");
    REQUIRE(copy);
    CHECK(std::filesystem::is_regular_file(std::filesystem::symlink_status(*copy)));
    const auto neighbour = std::filesystem::path(*copy).parent_path() / "libprivate.so.1";
    CHECK(std::filesystem::is_symlink(neighbour));
    CHECK(std::filesystem::file_size(neighbour) == 7);
    CHECK(place->copy_release(*place / "lib/libapp.so"));
    CHECK_FALSE(place->copy_release("/is/not/there.so"));
  }
  CHECK_FALSE(std::filesystem::exists(where));
}

}  // namespace
}  // namespace liveswap::verify
