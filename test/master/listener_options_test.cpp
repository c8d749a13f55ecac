#include "master/app_listeners/listener_options.hpp"

#include <doctest/doctest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include "base/unique_fd.hpp"

using namespace liveswap;
using namespace liveswap::master;

namespace {

const OptionName lingering{SOL_SOCKET, SO_LINGER}, lock{SOL_SOCKET, SO_LOCK_FILTER};

}  // namespace

TEST_CASE("options of listeners: what was read can be put back") {
  const auto fd = UniqueFd::adopt(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const auto before = options_of(fd.get());
  CHECK(before.size() > 30);
  const int seconds = 30, bytes = 100'000;
  const struct linger on { 1, 3 };
  REQUIRE(::setsockopt(fd.get(), IPPROTO_TCP, TCP_DEFER_ACCEPT, &seconds, sizeof seconds) == 0);
  REQUIRE(::setsockopt(fd.get(), SOL_SOCKET, SO_LINGER, &on, sizeof on) == 0);
  REQUIRE(::setsockopt(fd.get(), SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes) == 0);
  CHECK(options_of(fd.get()) != before);
  for (const auto& [option, value] : before) {
    CAPTURE(text_of(option));
    if (option_of(fd.get(), option) != value) CHECK(put_back(fd.get(), option, value).has_value());
  }
  for (const auto& [option, value] : before) {
    CAPTURE(text_of(option));
    // SO_LINGER keeps its time also while it is off, so only l_onoff is compared.
    const auto size = option == lingering ? sizeof(int) : value->size();
    CHECK(option_of(fd.get(), option)->substr(0, size) == value->substr(0, size));
  }
}

TEST_CASE("options of listeners: an option that cannot be put back is named") {
  const auto fd = UniqueFd::adopt(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const auto done = put_back(fd.get(), lock, std::nullopt);
  REQUIRE_FALSE(done.has_value());
  CHECK(done.error().text == "SO_LOCK_FILTER: Protocol not available");
  CHECK(text_of(OptionName{SOL_SOCKET, 1234}) == "option 1234 of level 1");
}
