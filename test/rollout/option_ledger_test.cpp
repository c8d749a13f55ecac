#include "rollout/option_ledger.hpp"

#include <doctest/doctest.h>

using namespace liveswap::rollout;

namespace {

const OptionName defer{6, 9}, lingering{1, 13}, lock{1, 44};
constexpr OptionLedger::Cookie http = 7;

OptionLedger ledger() {
  OptionLedger made;
  made.know(http, {{defer, "0"}, {lingering, "off"}});
  return made;
}

}  // namespace

TEST_CASE("option ledger: what a generation has set is taken back when it does not serve any more") {
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

TEST_CASE("option ledger: the value of a release that still serves comes back") {
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

TEST_CASE("option ledger: what a later release has set itself stays") {
  auto options = ledger();
  options.note(http, defer, 1, "30");
  options.note(http, defer, 2, "30");
  CHECK(options.keep({2}).empty());
}

TEST_CASE("option ledger: what cannot be read has no value to put back") {
  auto options = ledger();
  options.note(http, lock, 1, std::nullopt);
  const auto restores = options.keep({2});
  REQUIRE(restores.size() == 1);
  CHECK_FALSE(restores[0].value);
  CHECK_FALSE(restores[0].is_foreign);
}

TEST_CASE("option ledger: as many as fit are noted, and those that are noted can change") {
  auto options = ledger();
  options.note(http, defer, 1, "30");
  CHECK(options.has_room_for(http, defer, 1));
  CHECK_FALSE(options.has_room_for(http, lingering, 1));
  options.forget(http);
  CHECK(options.has_room_for(http, lingering, 1));
  CHECK_FALSE(options.knows(http));
}
