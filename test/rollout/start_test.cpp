#include "rollout/start.hpp"

#include <doctest/doctest.h>

using namespace liveswap::rollout;

namespace {

const std::string id = "0123456789abcdef";

Surroundings committed(const std::string& path) {
  Surroundings found;
  found.head = Release{path, id};
  found.stored = found.readable = true;
  return found;
}

Surroundings without_head() {
  Surroundings found;
  found.head_missing = true;
  found.head_trouble = "no HEAD here";
  return found;
}

Start start_of(const Surroundings& found) {
  const auto chosen = choose_start(found);
  REQUIRE(std::holds_alternative<Start>(chosen));
  return std::get<Start>(chosen);
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("start: the first one begins with the target") {
  auto found = without_head();
  found.target = "/v1.so";
  CHECK(start_of(found).release == Release{"/v1.so", ""});
  CHECK(start_of(found).remark == "");
}

TEST_CASE("start: without HEAD and target there is nothing to start") {
  const auto chosen = choose_start(without_head());
  REQUIRE(std::holds_alternative<NoStart>(chosen));
  CHECK(std::get<NoStart>(chosen).misuse);
  CHECK(std::get<NoStart>(chosen).text == "no library was named, and no HEAD here");
}

TEST_CASE("start: HEAD decides, and it is said where the target is another one") {
  auto found = committed("/v2.so");
  CHECK(start_of(found).release == Release{"/v2.so", id});
  CHECK(start_of(found).remark == "");
  found.target = "/v2.so";
  CHECK(start_of(found).release == Release{"/v2.so", id});
  CHECK(start_of(found).remark == "");
  found.target = "/v1.so";
  const auto start = start_of(found);
  CHECK(start.release == Release{"/v2.so", id});
  CHECK(start.remark ==
        "HEAD says /v2.so (release 0123456789ab); the configured target /v1.so was not used: `liveswap "
        "upgrade /v1.so` "
        "changes to it, a start with --force-target begins with it");
}

TEST_CASE("start: a forced target begins, and it is said that HEAD is another one") {
  auto found = committed("/v2.so");
  found.target = "/v1.so";
  found.force_target = true;
  CHECK(start_of(found).release == Release{"/v1.so", ""});
  CHECK(contains(start_of(found).remark, "HEAD says /v2.so"));
  CHECK(contains(start_of(found).remark, "starting /v1.so"));
  // The file that is at the path now, and not the one that was committed by that path.
  found.target = "/v2.so";
  CHECK(start_of(found).release == Release{"/v2.so", ""});
  CHECK(start_of(found).remark == "");
}

TEST_CASE("start: a release that the store has lost is taken from HEAD's path") {
  auto found = committed("/v2.so");
  found.stored = false;
  CHECK(start_of(found).release == Release{"/v2.so", ""});
  CHECK(contains(start_of(found).remark, "no snapshot of what HEAD names (/v2.so)"));
  found.target = "/v1.so";
  CHECK(contains(start_of(found).remark, "/v1.so was not used"));
  found.readable = false;
  const auto chosen = choose_start(found);
  REQUIRE(std::holds_alternative<NoStart>(chosen));
  CHECK_FALSE(std::get<NoStart>(chosen).misuse);
  CHECK(contains(std::get<NoStart>(chosen).text, "--force-target to run the configured target /v1.so"));
}

TEST_CASE("start: of a HEAD that cannot be read nothing is started, unless the target is forced") {
  Surroundings found;
  found.head_trouble = "the HEAD file /s/HEAD is empty";
  for (const char* target : {"", "/v1.so"}) {
    found.target = target;
    const auto chosen = choose_start(found);
    REQUIRE(std::holds_alternative<NoStart>(chosen));
    const auto& none = std::get<NoStart>(chosen);
    CHECK_FALSE(none.misuse);
    CHECK(contains(none.text, "the HEAD file /s/HEAD is empty. "));
    CHECK(contains(none.text, "--force-target"));
    CHECK(contains(none.text, target));
    CHECK_FALSE(contains(none.text, "record of a commit"));
  }
  found.recorded = "/v2.so";
  CHECK(contains(std::get<NoStart>(choose_start(found)).text, "the newest record of a commit names /v2.so"));
  found.force_target = true;
  CHECK(start_of(found).release == Release{"/v1.so", ""});
  CHECK(start_of(found).remark == "the HEAD file /s/HEAD is empty; the target was forced: starting /v1.so");
}

TEST_CASE("start: where HEAD and target differ while the master runs") {
  CHECK(target_remark("", false, "/v2.so") == "");
  CHECK(target_remark("/v2.so", false, "/v2.so") == "");
  CHECK(target_remark("/v1.so", false, "") == "");
  CHECK(target_remark("/v1.so", false, "/v2.so") ==
        "HEAD says /v2.so; the configured target /v1.so is not used");
  CHECK(contains(target_remark("/v1.so", true, "/v2.so"),
                 "a restart begins with the configured target /v1.so"));
}

TEST_CASE("start: bytes that are not those that were committed are not run") {
  const Release chosen{"/v2.so", id}, before{"/v1.so", "fedcba9876543210"};
  const auto sound = choose_sound(chosen, {Examined::Kind::sound, "", {}});
  REQUIRE(std::holds_alternative<Start>(sound));
  CHECK(std::get<Start>(sound).release == chosen);
  CHECK(std::get<Start>(sound).remark == "");
  CHECK(std::get<Start>(choose_sound(chosen, {Examined::Kind::sound, "mended", {}})).remark == "mended");

  const auto earlier = choose_sound(chosen, {Examined::Kind::differs, "x.so differs", before});
  REQUIRE(std::holds_alternative<Start>(earlier));
  CHECK(std::get<Start>(earlier).release == before);
  CHECK(std::get<Start>(earlier).remark ==
        "the committed release /v2.so (release 0123456789ab) is not run: x.so differs; /v1.so (release "
        "fedcba987654), "
        "which was committed before, is run instead");
  const auto left = choose_sound(chosen, {Examined::Kind::differs, "x.so differs", before, true});
  CHECK(std::get<Start>(left).release == before);
  CHECK(contains(std::get<Start>(left).remark, "is run instead, although it was rolled back from"));

  const auto none = choose_sound(chosen, {Examined::Kind::differs, "x.so differs", {}});
  REQUIRE(std::holds_alternative<NoStart>(none));
  CHECK_FALSE(std::get<NoStart>(none).misuse);
  CHECK(contains(std::get<NoStart>(none).text, "x.so differs"));
  CHECK(contains(std::get<NoStart>(none).text, "--force-target"));
}
