#include "cli/help.hpp"

#include <doctest/doctest.h>

#include <sstream>

#include "cli/option_table.hpp"
#include "cli/shown.hpp"

using namespace liveswap::cli;

TEST_CASE("every page fits into 100 columns") {
  std::string pages = help_text({});
  for (std::size_t i = 0; i < command_words.size(); ++i) pages += help_text(static_cast<Command>(i));
  std::istringstream lines(pages);
  for (std::string line; std::getline(lines, line);) {
    CAPTURE(line);
    CHECK(columns(line) <= 100);
  }
}

TEST_CASE("everything is documented") {
  const std::string text = help_text({});
  for (const Option& option : option_table()) {
    CAPTURE(option.name);
    CHECK(text.find("--" + std::string(option.name)) != std::string::npos);
  }
  for (const auto word : command_words) CHECK(text.find("\n  " + std::string(word)) != std::string::npos);
}

TEST_CASE("a command's page begins with it and has its options only") {
  for (std::size_t i = 0; i < command_words.size(); ++i) {
    const std::string text = help_text(static_cast<Command>(i));
    CHECK(text.rfind("Usage: liveswap " + std::string(command_words[i]), 0) == 0);
    CHECK((text.find("--surge") != std::string::npos) == (i <= 1));
    CHECK((text.find("--settle") != std::string::npos) == (i == 0));
  }
}
