#include "client/sockets.hpp"

#include <doctest/doctest.h>
#include <unistd.h>

#include <algorithm>

#include "fake_server.hpp"
#include "test/support/temp_dir.hpp"

using namespace liveswap::client;
using liveswap::test::TempDir;

TEST_CASE("/proc/net/unix: sockets that are called <port>.sock, and listen") {
  const auto found = parse_control_sockets(
      "Num       RefCount Protocol Flags    Type St Inode Path\n"
      "00000000f3d3c078: 00000003 00000000 00000000 0001 03  1678\n"
      "0000000000000001: 00000002 00000000 00010000 0001 01 31514 /run/liveswap/3001.sock\n"
      "0000000000000002: 00000002 00000000 00010000 0001 01     7 /tmp/a b/3000.sock\n"
      "0000000000000003: 00000002 00000000 00010000 0001 01     7 /tmp/a b/3000.sock\n"
      "0000000000000004: 00000003 00000000 00000000 0001 03     8 /run/liveswap/3002.sock\n"   // a connection
      "0000000000000005: 00000002 00000000 00010000 0005 01     9 /run/liveswap/3003.sock\n"   // no stream
      "0000000000000006: 00000002 00000000 00010000 0001 01    10 @/run/liveswap/3004.sock\n"  // abstract
      "0000000000000007: 00000002 00000000 00010000 0001 01    11 /run/liveswap/70000.sock\n"
      "0000000000000008: 00000002 00000000 00010000 0001 01    12 /run/liveswap/03.sock\n"
      "0000000000000009: 00000002 00000000 00010000 0001 01    13 /run/liveswap/.sock\n"
      "000000000000000a: 00000002 00000000 00010000 0001 01    14 /3005.sock\n"
      "000000000000000b: 00000002 00000000 00010000 0001 01    15 3006.sock\n"
      "000000000000000c: 00000002 00000000 00010000 0001 01    16 /run/app.sock");
  CHECK(found == std::vector<ControlSocket>{{"/tmp/a b", 3000}, {"/run/liveswap", 3001}});
  CHECK(found.front().path() == "/tmp/a b/3000.sock");
  for (const char* table : {"", "\n\n", "x", "a b c d e f g h\n", "a b c 00010000 0001 01 1"})
    CHECK(parse_control_sockets(table).empty());
}

TEST_CASE("/proc/net/tcp: whose socket listens on a port") {
  const char* table =
      "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
      "   0: 0100007F:0BB8 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1007        0 313117 1 "
      "0\n"
      "   1: 0100007F:0BB9 0100007F:1234 01 00000000:00000000 00:00000000 00000000     0        0 1681 1 0\n";
  CHECK(parse_owner(table, 3000) == uid_t{1007});
  CHECK_FALSE(parse_owner(table, 3001).has_value());
  CHECK_FALSE(parse_owner("", 3000).has_value());
}

TEST_CASE("what the kernel says of this process") {
  const TempDir directory;
  auto local = FakeServer::on_unix(directory / "3999.sock", [](int) {});
  auto tcp = FakeServer::on_tcp([](int) {});
  const auto all = control_sockets();
  CHECK(std::find(all.begin(), all.end(), ControlSocket{directory.path(), 3999}) != all.end());
  CHECK(owner_of_port(tcp.port()) == ::geteuid());
  CHECK(user_name(0) == "root");
  CHECK(user_name(4'000'000'001) == "user 4000000001");
}
