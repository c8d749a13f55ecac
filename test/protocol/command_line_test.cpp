#include "protocol/command_line.hpp"

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

using namespace liveswap::protocol;

TEST_CASE("options as a shell takes them") {
  CHECK(option("--state-dir", "/srv/app") == " --state-dir /srv/app");
  CHECK(option("--state-dir", "/srv/it's mine") == " --state-dir '/srv/it'\\''s mine'");
  CHECK(option("--state-dir", "") == " --state-dir ''");
  CHECK(port_option(3000).empty());
  CHECK(port_option(3001) == " -p 3001");
  CHECK(directory_options("", "").empty());
  CHECK(directory_options("/srv/a b", "/run/x") == " --state-dir '/srv/a b' --runtime-dir /run/x");
}

TEST_CASE("every command in a text gets the options, at its end") {
  CHECK(with_options("see `liveswap status`", " -p 3001") == "see `liveswap status -p 3001`");
  CHECK(with_options("`liveswap receipt 12` or `liveswap rollback`; `ls` lists", " -p 3001") ==
        "`liveswap receipt 12 -p 3001` or `liveswap rollback -p 3001`; `ls` lists");
  for (const char* text :
       {"see `liveswap help`", "see `liveswap help status`", "`liveswap list`", "`liveswap check a.so`",
        "liveswap status", "`liveswap status", "", "`", "`liveswap "}) {
    CAPTURE(text);
    CHECK(with_options(text, " -p 3001") == text);
  }
  CHECK(with_options("see `liveswap status`", "") == "see `liveswap status`");
}

TEST_CASE("hints in a document are completed") {
  const auto done = document_with_options(
      Json::parse(R"({"reason":"see `liveswap status`","n":7,"l":["`liveswap abort`"]})"), " -p 1");
  CHECK(done ==
        Json::parse(R"({"reason":"see `liveswap status -p 1`","n":7,"l":["`liveswap abort -p 1`"]})"));
}
