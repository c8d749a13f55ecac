#include "config/health.hpp"

#include <doctest/doctest.h>

#include "shown.hpp"

using namespace liveswap::config;
using Kind = HealthProbe::Kind;

TEST_CASE("health probes are read, and written as they were") {
  struct Row {
    const char* text;
    Kind kind;
    const char* listener;
    const char* path;
    unsigned lowest, highest;
    const char* shown;
  };
  for (const auto& row :
       {Row{"connect", Kind::connect, "", "", 200, 299, "connect"},
        {"web=connect", Kind::connect, "web", "", 200, 299, "web=connect"},
        {"GET /", Kind::get, "", "/", 200, 299, "GET / 2xx"},
        {"web=GET /health 204", Kind::get, "web", "/health", 204, 204, "web=GET /health 204"},
        {"GET /a?b=c  3xx", Kind::get, "", "/a?b=c", 300, 399, "GET /a?b=c 3xx"},
        {"run /bin/true", Kind::run, "", "", 200, 299, "run /bin/true"},
        {" run  /a/b  c=d e", Kind::run, "", "", 200, 299, "run /a/b c=d e"}}) {
    CAPTURE(row.text);
    const auto probe = parse_health(row.text);
    REQUIRE(probe);
    CHECK(probe->kind == row.kind);
    CHECK(probe->listener == row.listener);
    CHECK(probe->path == row.path);
    CHECK(probe->lowest_status == row.lowest);
    CHECK(probe->highest_status == row.highest);
    CHECK(health_text(*probe) == row.shown);
  }
  CHECK(parse_health("run /a/b  c=d e")->command == std::vector<std::string>{"/a/b", "c=d", "e"});
}

TEST_CASE("what is no health probe is told so") {
  for (const auto& [text, expected] : {std::pair{"", "found \"\", expected [NAME=]connect"},
                                       {"connected", "expected [NAME=]connect"},
                                       {"connect now", "expected [NAME=]connect"},
                                       {"get /", "expected [NAME=]connect"},
                                       {"web=", "expected [NAME=]connect"},
                                       {"web=run /bin/true", "expected [NAME=]connect"},
                                       {"GET", "expected GET /path, and a status or nothing"},
                                       {"GET health", "expected GET /path"},
                                       {"GET / 200 OK", "expected GET /path"},
                                       {"GET / 99", "found the status \"99\", expected 100 to 599"},
                                       {"GET / 6xx", "found the status \"6xx\""},
                                       {"GET / xxx", "found the status \"xxx\""},
                                       {"GET / 2000", "found the status \"2000\""},
                                       {"run", "expected the absolute path of a command behind run"},
                                       {"run true", "expected the absolute path"},
                                       {"GET /\r\nX: y", "found a control character in \"GET /\\x0d"}}) {
    CAPTURE(text);
    CHECK(error_of(parse_health(text)).find(expected) != std::string::npos);
  }
}

TEST_CASE("the listener of a probe must be there") {
  CHECK(match_health(*parse_health("GET /"), {"web"}));
  CHECK(match_health(*parse_health("api=connect"), {"web", "api"}));
  CHECK(match_health(*parse_health("run /bin/true"), {}));
  CHECK(error_of(match_health(*parse_health("ipa=connect"), {"web", "api"})) ==
        "found the listener \"ipa\", expected one of web, api");
  CHECK(error_of(match_health(*parse_health("GET /"), {})).find("there is no listener to probe") !=
        std::string::npos);
}
