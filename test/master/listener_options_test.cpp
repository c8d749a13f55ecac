#include "master/app_listeners/listener_options.hpp"

#include <doctest/doctest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include "base/unique_fd.hpp"

using namespace liveswap;
using namespace liveswap::master;

namespace {

const OptionName defer{IPPROTO_TCP, TCP_DEFER_ACCEPT}, lingering{SOL_SOCKET, SO_LINGER},
    lock{SOL_SOCKET, SO_LOCK_FILTER};
constexpr OptionLedger::Cookie http = 7;

OptionLedger ledger() {
  OptionLedger made;
  made.know(http, {{defer, "0"}, {lingering, "off"}});
  return made;
}

}  // namespace

TEST_CASE("options of listeners: what a generation has set is taken back when it does not serve any more") {
  auto options = ledger();
  options.note(http, defer, 1, "30");
  CHECK(options.keep({1, 2}).empty());
  const auto restores = options.keep({2});
  REQUIRE(restores.size() == 1);
  CHECK(restores[0].socket == http);
  CHECK(restores[0].option == defer);
  CHECK(restores[0].value == "0");
  CHECK(restores[0].by == 1);
  CHECK(options.keep({2}).empty());
}

TEST_CASE("options of listeners: the value of a release that still serves comes back") {
  auto options = ledger();
  options.note(http, defer, 1, "30");
  options.note(http, defer, 2, "5");
  const auto reverted = options.keep({1});
  REQUIRE(reverted.size() == 1);
  CHECK(reverted[0].value == "30");
  CHECK(reverted[0].is_foreign);
  const auto gone = options.keep({3});
  REQUIRE(gone.size() == 1);
  CHECK(gone[0].value == "0");
}

TEST_CASE("options of listeners: what a later release has set itself stays") {
  auto options = ledger();
  options.note(http, defer, 1, "30");
  options.note(http, defer, 2, "30");
  CHECK(options.keep({2}).empty());
}

TEST_CASE("options of listeners: what cannot be read has no value to put back") {
  auto options = ledger();
  options.note(http, lock, 1, std::nullopt);
  const auto restores = options.keep({2});
  REQUIRE(restores.size() == 1);
  CHECK_FALSE(restores[0].value);
  CHECK_FALSE(restores[0].is_foreign);
}

TEST_CASE("options of listeners: as many as fit are noted, and those that are noted can change") {
  auto options = ledger();
  options.note(http, defer, 1, "30");
  CHECK(options.has_room_for(http, defer, 1));
  CHECK_FALSE(options.has_room_for(http, lingering, 1));
  options.forget(http);
  CHECK(options.has_room_for(http, lingering, 1));
  CHECK_FALSE(options.knows(http));
}

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
    CAPTURE(option.text());
    if (option_of(fd.get(), option) != value) CHECK(put_back(fd.get(), option, value).has_value());
  }
  for (const auto& [option, value] : before) {
    CAPTURE(option.text());
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
  CHECK(OptionName{SOL_SOCKET, 1234}.text() == "option 1234 of level 1");
}
