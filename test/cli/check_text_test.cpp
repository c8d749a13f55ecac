#include "cli/check_text.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <sstream>

#include "cli/printable.hpp"

using namespace liveswap;
using namespace liveswap::cli;

namespace {

using Level = CheckFinding::Level;

CheckReport report() {
  return {"/srv/libapp.so",
          {{Level::error, "missing_symbol", "nothing defines foo", "link it"},
           {Level::error, "missing_symbol", "nothing defines bar", "link it"},
           {Level::warning, "exit", "it blocks", ""},
           {Level::fine, "entry", "it exports liveswap_main", ""}},
          "one\ntwo \x1b[31m\xff"};
}

}  // namespace

TEST_CASE("check: findings, advice once, what it wrote made harmless, and the verdict") {
  CHECK(check_text(report(), {}) ==
        "/srv/libapp.so\n\n"
        "error    nothing defines foo\n"
        "error    nothing defines bar\n"
        "         > link it\n"
        "warning  it blocks\n"
        "fine     it exports liveswap_main\n"
        "\nIt wrote:\n"
        "  | one\n"
        "  | two \\x1b[31m\\xff\n"
        "\n2 errors, 1 warning: an upgrade to it would be refused\n");
}

TEST_CASE("check: the verdict without errors") {
  CheckReport fine{"/a.so", {{Level::fine, "load", "it loads", ""}}, ""};
  CHECK(check_text(fine, {}) == "/a.so\n\nfine     it loads\n\nfine\n");
  fine.findings.push_back({Level::warning, "exit", "it blocks", ""});
  CHECK(check_text(fine, {}).find("\nfine, but for 1 warning\n") != std::string::npos);
}

TEST_CASE("check: lines fit the terminal, and no word is lost") {
  CheckReport wide{"/a.so", {}, ""};
  std::string words;
  for (int i = 0; i < 60; ++i)
    words += (i > 0 ? " " : "") + std::string(static_cast<std::size_t>(i % 9 + 1), 'z');
  wide.findings.push_back({Level::error, "load", words, words});
  for (const std::size_t width : {50U, 80U, 133U}) {
    std::istringstream lines(check_text(wide, {width, false}));
    std::size_t found = 0;
    for (std::string line; std::getline(lines, line);) {
      CHECK(columns(line) <= width);
      found += static_cast<std::size_t>(std::count(line.begin(), line.end(), 'z'));
    }
    CHECK(found == 2 * static_cast<std::size_t>(std::count(words.begin(), words.end(), 'z')));
  }
}

TEST_CASE("check: as JSON it is one line, whatever the library wrote") {
  const std::string line = check_json(report());
  CHECK(line.find('\n') == std::string::npos);
  const auto json = nlohmann::json::parse(line);
  CHECK(json["path"] == "/srv/libapp.so");
  CHECK(json["result"] == "failed");
  CHECK(json["errors"] == 2);
  CHECK(json["warnings"] == 1);
  CHECK(json["findings"].size() == 4);
  CHECK(json["findings"][0] == nlohmann::json{{"level", "error"},
                                              {"kind", "missing_symbol"},
                                              {"text", "nothing defines foo"},
                                              {"advice", "link it"}});
  CHECK(check_json({"/a.so", {}, ""}).find("\"result\":\"ok\"") != std::string::npos);
}
