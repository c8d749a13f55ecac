// Connections that the master gives twice (takeover/given_connections.h).
#include "../unit_worker.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>

#include <vector>

extern "C" {
#include "worker/takeover/given_connections.h"
}

using namespace liveswap;
using namespace liveswap::test;

namespace {

UniqueFd any_socket() { return UniqueFd::adopt(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)); }
UniqueFd duplicate_of(const UniqueFd& fd) { return UniqueFd::adopt(::fcntl(fd.get(), F_DUPFD_CLOEXEC, 0)); }

}  // namespace

TEST_CASE("given connections: a second descriptor of one is known, another connection is not") {
  const auto first = any_socket(), other = any_socket();
  CHECK(given_connections_add(first.get()));
  CHECK_FALSE(given_connections_add(duplicate_of(first).get()));
  CHECK(given_connections_add(other.get()));
  CHECK_FALSE(given_connections_add(first.get()));
  CHECK_FALSE(given_connections_add(other.get()));
}

TEST_CASE("given connections: one that went back to the master may come again") {
  const auto one = any_socket();
  CHECK(given_connections_add(one.get()));
  given_connections_forget(duplicate_of(one).get());
  CHECK(given_connections_add(one.get()));
  CHECK_FALSE(given_connections_add(one.get()));
}

TEST_CASE("given connections: the last 1024 are known") {
  std::vector<UniqueFd> all;
  for (int i = 0; i < 1025; ++i) {
    all.push_back(any_socket());
    REQUIRE(all.back());
    CHECK(given_connections_add(all.back().get()));
  }
  CHECK_FALSE(given_connections_add(all[1].get()));
  CHECK_FALSE(given_connections_add(all[1024].get()));
  CHECK(given_connections_add(all[0].get()));
}
