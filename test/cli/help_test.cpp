#include "cli/help.hpp"

#include <doctest/doctest.h>

#include <sstream>

#include "cli/option_table.hpp"
#include "cli/printable.hpp"

using namespace liveswap::cli;

TEST_CASE("every page fits the terminal") {
  for (const std::size_t width : {40, 60, 80, 100}) {
    std::string pages = help_text({}, width);
    // Examples are to be copied, so they are not wrapped.
    pages.erase(pages.find("Examples\n"));
    for (std::size_t i = 0; i < command_words.size(); ++i) pages += help_text(static_cast<Command>(i), width);
    std::istringstream lines(pages);
    for (std::string line; std::getline(lines, line);) {
      CAPTURE(line);
      CHECK((columns(line) <= width || line.find("liveswap ") != std::string::npos));
    }
  }
  std::istringstream lines(help_text({}) + usage_text());
  for (std::string line; std::getline(lines, line);) {
    CAPTURE(line);
    CHECK(columns(line) <= 80);
  }
}

TEST_CASE("an option and its text stand in two columns, on a narrow terminal below each other") {
  const auto wide = help_text({}, 80), narrow = help_text({}, 40);
  CHECK(wide.find("\n      --probation TIME        how long after the last slot a failure still\n"
                  "                              reverts the upgrade (default none)\n") != std::string::npos);
  CHECK(narrow.find("\n      --timeout TIME\n        give up waiting for the answer\n") != std::string::npos);
}

TEST_CASE("everything is documented") {
  const std::string text = help_text({});
  for (const Option& option : option_table()) {
    CAPTURE(option.name);
    CHECK(text.find("--" + std::string(option.name)) != std::string::npos);
  }
  for (const auto word : command_words) {
    CHECK(text.find("\n  " + std::string(word)) != std::string::npos);
    CHECK(usage_text().find("\n  " + std::string(word)) != std::string::npos);
  }
}

TEST_CASE("a command's page begins with it and has its options only") {
  for (std::size_t i = 0; i < command_words.size(); ++i) {
    const std::string text = help_text(static_cast<Command>(i));
    CHECK(text.rfind("Usage: liveswap " + std::string(command_words[i]), 0) == 0);
    CHECK((text.find("--surge") != std::string::npos) == (i <= 1));
    CHECK((text.find("--settle") != std::string::npos) == (i == 0));
  }
}
