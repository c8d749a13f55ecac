#include "config/nearest.hpp"

#include <doctest/doctest.h>

#include <array>

#include "config/quote.hpp"

using namespace liveswap::config;

namespace {
constexpr std::array<std::string_view, 6> words{"start", "stop", "status", "forks", "drain-limit", "kill"};
}

TEST_CASE("the nearest word") {
  struct Row {
    const char* word;
    const char* nearest;
  };
  for (const auto& [word, expected] : {Row{"fork", "forks"},
                                       {"froks", "forks"},
                                       {"FORKS", "forks"},
                                       {"drain_limit", "drain-limit"},
                                       {"drainlimt", "drain-limit"},
                                       {"sttop", "stop"},
                                       {"statsu", "status"},
                                       {"kil", "kill"}}) {
    CAPTURE(word);
    CHECK(nearest(word, words).value_or("") == expected);
  }
  for (const char* word : {"", "x", "upgrade", "zzzzz", "klil-all"}) {
    CAPTURE(word);
    CHECK_FALSE(nearest(word, words));
  }
  CHECK_FALSE(nearest("forks", {}));
  CHECK_FALSE(nearest(std::string(1'000'000, 'f'), words));
}

TEST_CASE("the end of a message about an unknown word") {
  CHECK(suggestion("fork", words) == ", did you mean \"forks\"?");
  CHECK(suggestion("x", std::span(words).first(2)) == ", expected one of start, stop");
}

TEST_CASE("a text in quotes can be shown") {
  CHECK(in_quotes("a b") == "\"a b\"");
  CHECK(in_quotes(std::string_view("a\n\0\x1b[0m\x7f", 8)) == "\"a\\x0a\\x00\\x1b[0m\\x7f\"");
  CHECK(in_quotes(std::string(80, 'x')) == "\"" + std::string(80, 'x') + "\"");
  CHECK(in_quotes(std::string(81, 'x')) == "\"" + std::string(80, 'x') + "…\"");
  CHECK(in_quotes(std::string(79, 'x') + "äx") == "\"" + std::string(79, 'x') + "…\"");
}
