#include "config/file_check.hpp"

#include <doctest/doctest.h>

#include <random>
#include <sstream>
#include <string>
#include <vector>

#include "config/reload.hpp"

using namespace liveswap;
using namespace liveswap::config;

namespace {

constexpr uid_t nobody = 1000;

std::string problems_in(const std::string& text) {
  std::string lines;
  for (const auto& problem : check_file(text, "f.yaml", "/srv", nobody).problems)
    lines += problem_text(problem, "f.yaml") + " [" + problem.key + "]\n";
  return lines;
}

const std::vector<std::string> good{
    "target: ./libapp.so\n",
    "port: 3000\n",
    "forks: 4\n",
    "listen:\n",
    "  - http=127.0.0.1:80\n",
    "  - name: admin\n",
    "    address: unix:/run/app/admin.sock\n",
    "settle: 100ms\n",
    "ready-limit: 30s\n",
    "drain-limit: 1m\n",
    "canary: 10%\n",
    "bake: 30s\n",
    "probation: 10s\n",
    "health:\n",
    "  - http=GET /up 200\n",
    "  - run /usr/local/bin/app-is-well\n",
    "max-memory: 2G\n",
    "keep-releases: 10\n",
    "environment:\n",
    "  DATABASE: /srv/app/db\n",
    "limits:\n",
    "  nofile: 65536\n",
    "arguments: [--verbose]\n",
};

std::string joined_lines(const std::vector<std::string>& lines) {
  std::string text;
  for (const auto& line : lines) text += line;
  return text;
}

class Mutations {
 public:
  explicit Mutations(unsigned seed) : random_(seed) {}

  std::string next() {
    auto lines = good;
    auto& line = lines[below(lines.size())];
    const auto at = below(line.size() - 1);
    switch (below(10)) {
      case 0: line.insert(at, 1, any()); break;
      case 1: line[at] = any(); break;
      case 2: line.erase(at, 1); break;
      case 3: std::swap(line[at], line[at == 0 ? 1 : at - 1]); break;
      case 4: line += line; break;
      case 5: line.insert(0, below(2) ? " " : "\t"); break;
      case 6: line.erase(at); break;
      case 7: line.replace(line.find_first_of(":-") + 1, std::string::npos, " 99999999999999999999\n"); break;
      case 8: line.replace(line.find_first_of(":-") + 1, std::string::npos, " [x, {y: z}]\n"); break;
      case 9: line.insert(at, "\xff"); break;
    }
    return joined_lines(lines);
  }

 private:
  std::size_t below(std::size_t count) { return random_() % count; }
  char any() { return static_cast<char>(' ' + below(95)); }

  std::mt19937 random_;
};

}  // namespace

TEST_CASE("a file without a mistake") {
  const auto checked = check_file(joined_lines(good), "f.yaml", "/srv", nobody);
  CHECK(problems_in(joined_lines(good)) == "");
  CHECK(checked.options.target == "/srv/libapp.so");
  CHECK(checked.options.listen.size() == 2);
  CHECK(problems_in("") == "");
}

TEST_CASE("every mistake of a value, with its place and key") {
  CHECK(problems_in("forks: 0\nport: 3000\nfork: 2\nlimits:\n  nofiles: 1\n") ==
        "f.yaml:1:8: forks: found \"0\", expected a number from 1 to 1024, or auto [forks]\n"
        "f.yaml:3:1: unknown key \"fork\", did you mean \"forks\"? [fork]\n"
        "f.yaml:5:3: limits: unknown limit \"nofiles\", did you mean \"nofile\"? [limits]\n");
}

TEST_CASE("values that contradict each other have the place of one of them") {
  CHECK(problems_in("forks: 2\nready-limit: 1s\nsettle: 2s\n") ==
        "f.yaml:3:9: settle: found 2000ms, expected less than ready-limit, 1000ms: no worker would get ready "
        "[settle]\n");
  // settle has its default.
  CHECK(problems_in("forks: 2\nready-limit: 50ms\n")
            .starts_with("f.yaml:2:14: settle: found 100ms, expected less"));
  CHECK(problems_in("canary: 3\nforks: 2\n").starts_with("f.yaml:1:9: canary: found 3, expected at most 2"));
  CHECK(problems_in("\nhealth:\n  - http=connect\n").starts_with("f.yaml:3:3: health: found"));
  CHECK(
      problems_in("listen: [a=*:1, a=*:2]\nflip: true\ncanary: 1\n").find("f.yaml:1:9: listen: found two") !=
      std::string::npos);
  CHECK(problems_in("listen: [a=*:1, a=*:2]\nflip: true\ncanary: 1\n").find("f.yaml:2:7: flip: found true") !=
        std::string::npos);
}

TEST_CASE("a text that is no YAML") {
  CHECK(problems_in("forks: [1\n").starts_with("f.yaml:"));
  CHECK(problems_in("a\nb: c\n").starts_with("f.yaml:2:"));
  const auto problems = check_file("forks: 1\nport: \xff\n", "a:1:2: b.yaml", "/srv", nobody).problems;
  REQUIRE(problems.size() == 1);
  CHECK(problems.front().line == 2);
  CHECK(problems.front().column == 7);
  CHECK(problems.front().key == "");
}

TEST_CASE("mutations of a good file are refused with line and column, or change only what they touch") {
  const auto original = check_file(joined_lines(good), "f.yaml", "/srv", nobody).options;
  Mutations mutations(1);
  unsigned refused = 0;
  for (unsigned i = 0; i < 1'000; ++i) {
    const auto text = mutations.next();
    CAPTURE(text);
    const auto checked = check_file(text, "f.yaml", "/srv", nobody);
    if (checked.problems.empty()) {
      // One line was changed: at most its key and that of the list that it ends.
      CHECK(plan_reload(original, checked.options).changes.size() <= 2);
      CHECK(check_file(text, "f.yaml", "/srv", nobody).problems.empty());
      continue;
    }
    ++refused;
    for (const auto& problem : checked.problems) {
      CHECK(problem.line >= 1);
      CHECK(problem.column >= 1);
      CHECK_FALSE(problem.text.empty());
    }
  }
  CHECK(refused >= 100);
  CHECK(refused < 1'000);
}
