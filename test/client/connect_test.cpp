#include "client/connect.hpp"

#include <doctest/doctest.h>

using namespace liveswap::client;

TEST_CASE("addresses that mean this machine") {
  for (const char* address :
       {"", "127.0.0.1", "127.8.9.1", "localhost", "::1", "[::1]", "0.0.0.0", "::", "*"}) {
    CAPTURE(address);
    CHECK(means_this_machine(address));
  }
  for (const char* address : {"10.0.0.1", "128.0.0.1", "example.org", "fe80::1", "127.0.0.1.example.org"}) {
    CAPTURE(address);
    CHECK_FALSE(means_this_machine(address));
  }
}

TEST_CASE("endpoints") {
  CHECK(host_and_port("127.0.0.1", 80) == "127.0.0.1:80");
  CHECK(host_and_port("::1", 80) == "[::1]:80");
  CHECK(host_and_port("[::1]", 80) == "[::1]:80");
}
