// Each command that the documents show is one that liveswap understands.
#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <regex>
#include <sstream>
#include <string>
#include <vector>

#include "cli/arguments.hpp"
#include "cli/start_options.hpp"
#include "config/validate.hpp"
#include "config/yaml.hpp"

using namespace liveswap::cli;

namespace {

namespace fs = std::filesystem;

std::string content(const fs::path& path) {
  std::ifstream file(path);
  REQUIRE(file);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::vector<fs::path> documents() {
  std::vector<fs::path> all{SOURCE_ROOT "/README.md", SOURCE_ROOT "/CONTRIBUTING.md",
                            SOURCE_ROOT "/SECURITY.md"};
  for (const auto& entry : fs::recursive_directory_iterator(SOURCE_ROOT "/docs"))
    // commands.md has usage lines, which are no commands.
    if (entry.path().extension() == ".md" && entry.path().filename() != "commands.md")
      all.push_back(entry.path());
  return all;
}

// The words of a shell's command line, up to a comment, a pipe or a redirection.
std::vector<std::string> words_of(const std::string& line) {
  std::vector<std::string> words;
  std::string word;
  bool inside = false;
  char quote = 0;
  for (const char c : line + " ") {
    if (quote == 0 && !inside && std::string("#|>&;\\").find(c) != std::string::npos) break;
    if (quote == 0 && (c == '\'' || c == '"')) {
      quote = c;
      inside = true;
    } else if (c == quote) {
      quote = 0;
    } else if (quote == 0 && c == ' ') {
      if (inside) words.push_back(std::exchange(word, ""));
      inside = false;
    } else {
      word += c;
      inside = true;
    }
  }
  return words;
}

// The arguments of each `liveswap` in the document's code blocks; commands with "…" are left out.
std::vector<std::string> typed(const std::string& document) {
  static const std::regex command(
      R"(^(?:    |\$ |Exec\w+=)(?:\S+=\S+ )?(?:ssh "\$HOST" )?(?:\S*/)?liveswap ([a-z-].*))");
  std::vector<std::string> lines;
  std::istringstream text(document);
  for (std::string line; std::getline(text, line);) {
    std::smatch found;
    if (!std::regex_search(line, found, command)) continue;
    const std::string arguments = found[1];
    if (arguments.find_first_of("[(") == std::string::npos && arguments.find("…") == std::string::npos)
      lines.push_back(arguments);
  }
  return lines;
}

}  // namespace

TEST_CASE("a line is cut into words as a shell does") {
  CHECK(words_of("start a.so --health 'GET /up 200' -- --x  # comment") ==
        std::vector<std::string>{"start", "a.so", "--health", "GET /up 200", "--", "--x"});
  CHECK(words_of("upgrade \"/srv/$A.so\" --json > receipt.json") ==
        std::vector<std::string>{"upgrade", "/srv/$A.so", "--json"});
}

TEST_CASE("every command in the documents is one that liveswap understands") {
  std::size_t commands = 0;
  for (const auto& path : documents()) {
    for (const std::string& line : typed(content(path))) {
      CAPTURE(path.string());
      CAPTURE(line);
      const auto arguments = parse_arguments(words_of(line), {});
      CHECK_MESSAGE(arguments.has_value(), (arguments ? "" : arguments.error().text));
      if (arguments && arguments->command == Command::start && arguments->config.empty()) {
        const auto options = start_options(*arguments);
        CHECK_MESSAGE(options.has_value(), (options ? "" : options.error().text));
      }
      ++commands;
    }
  }
  CHECK(commands >= 40);
}

TEST_CASE("the configuration file in the reference is one") {
  static const std::regex block("\n```yaml\n([^`]+)```");
  const std::string page = content(SOURCE_ROOT "/docs/reference/configuration.md");
  std::smatch found;
  REQUIRE(std::regex_search(page, found, block));
  const auto options = liveswap::config::parse_yaml(found[1], "liveswap.yaml", "/etc/app", {});
  REQUIRE_MESSAGE(options.has_value(), (options ? "" : options.error().text));
  const auto valid = liveswap::config::validate(*options, 0);
  CHECK_MESSAGE(valid.has_value(), (valid ? "" : valid.error().text));
}
