#include "config/runtimes.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "config/nearest.hpp"
#include "config/quote.hpp"

namespace liveswap::config {
namespace {

constexpr std::string_view start_rule = "a relative path inside of the directory, without \"..\"";
constexpr std::string_view ending_rule = "the ending of a file's name, such as py, without the dot";
// A few below the limits of the worker host (launch/resolve.h), which adds words of its own.
constexpr std::size_t runtimes_limit = 60, words_limit = 24, size_limit = 2048;

bool is_start_file(std::string_view path) {
  if (path.empty() || path.front() == '/') return false;
  for (std::size_t at = 0; at <= path.size();) {
    const auto slash = std::min(path.find('/', at), path.size());
    if (path.substr(at, slash - at) == "..") return false;
    at = slash + 1;
  }
  return true;
}

bool is_ending(std::string_view text) {
  const auto fits = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '+' || c == '-';
  };
  return !text.empty() && text.size() <= 32 && std::all_of(text.begin(), text.end(), fits);
}

std::vector<std::string> split_words(std::string_view text) {
  std::vector<std::string> words;
  for (std::size_t at = 0; (at = text.find_first_not_of(" \t", at)) != std::string_view::npos;) {
    const auto end = std::min(text.find_first_of(" \t", at), text.size());
    words.emplace_back(text.substr(at, end - at));
    at = end;
  }
  return words;
}

Result<std::string> word_as_it_is(const std::string& text) { return text; }

// "node --enable-source-maps" or [node, --enable-source-maps]
void read_command(Reader& reader, const Node& key, const Node& node, std::vector<std::string>& into) {
  into.clear();
  if (node.kind == Node::Kind::scalar) {
    into = split_words(node.text);
    return;
  }
  if (!reader.is(key, node, Node::Kind::list)) return;
  for (const Node& item : node.items) reader.value(key, item, into.emplace_back(), word_as_it_is);
}

void read_one(Reader& reader, const Node& key, const Node& node, Runtime& into) {
  static constexpr std::array<std::string_view, 2> known{"run", "check"};
  if (node.kind != Node::Kind::map) return read_command(reader, key, node, into.run);
  reader.entries(node, [&](const Node& name, const Node& command) {
    if (name.text == "run") read_command(reader, labelled(name, key.text), command, into.run);
    else if (name.text == "check") read_command(reader, labelled(name, key.text), command, into.check);
    else
      reader.complain(name, fmt::format("{}: unknown key {}{}", key.text, in_quotes(name.text),
                                        suggestion(name.text, known)));
  });
}

std::string problem_of_command(const std::vector<std::string>& words) {
  std::size_t size = 0;
  for (const auto& word : words) {
    size += word.size() + 1;
    // The words reach the worker host one a line, with 0x1f between them.
    if (word.empty() || word.find_first_of(std::string("\n\x1f\0", 3)) != std::string::npos)
      return fmt::format("found the word {}, expected one that is not empty, in one line", in_quotes(word));
  }
  if (words.size() > words_limit || size > size_limit)
    return fmt::format("found a command of {} words, expected at most {}, and {} bytes", words.size(),
                       words_limit, size_limit);
  if (!words.empty() && words.front().front() != '/' && words.front().find('/') != std::string::npos)
    return fmt::format("found {}, expected an absolute path, or the name of a program in the PATH",
                       in_quotes(words.front()));
  return "";
}

}  // namespace

Result<std::string> parse_kind(std::string_view text) {
  if (text == "auto") return std::string();
  if (text == "plugin" || text == "program" || text == "script") return std::string(text);
  return fail(fmt::format("found {}, expected plugin, program, script or auto", in_quotes(text)));
}

Result<std::string> parse_start_file(std::string_view text) {
  if (is_start_file(text)) return std::string(text);
  return fail(fmt::format("found {}, expected {}", in_quotes(text), start_rule));
}

Result<Runtime> parse_runtime(std::string_view text) {
  Runtime runtime;
  runtime.run = split_words(text);
  if (runtime.run.empty()) return fail("found nothing, expected a command");
  if (auto problem = problem_of_command(runtime.run); !problem.empty()) return fail(problem);
  return runtime;
}

void read_runtime(Reader& reader, const Node& key, const Node& node, Options& options) {
  options.runtime = {};
  read_one(reader, key, node, options.runtime);
}

void read_runtimes(Reader& reader, const Node& key, const Node& node, Options& options) {
  options.runtimes.clear();
  if (!reader.is(key, node, Node::Kind::map)) return;
  reader.entries(node, [&](const Node& name, const Node& command) {
    if (is_ending(name.text))
      return read_one(reader, labelled(name, "runtimes"), command, options.runtimes[name.text]);
    reader.complain(name, fmt::format("runtimes: found {}, expected {}", in_quotes(name.text), ending_rule));
  });
}

std::vector<std::pair<std::string, std::string>> problems_of_launch(const Options& options) {
  std::vector<std::pair<std::string, std::string>> problems;
  const auto add = [&](const char* option, const std::string& text) {
    if (!text.empty()) problems.emplace_back(option, text);
  };
  if (!options.kind.empty())
    if (const auto kind = parse_kind(options.kind); !kind) add("kind", kind.error().text);
  if (!options.start_file.empty() &&
      (!is_start_file(options.start_file) ||
       options.start_file.find_first_of(std::string("\n\0", 2)) != std::string::npos))
    add("start-file", fmt::format("found {}, expected {}", in_quotes(options.start_file), start_rule));
  add("runtime", problem_of_command(options.runtime.run));
  add("runtime", problem_of_command(options.runtime.check));
  if (options.runtimes.size() > runtimes_limit)
    add("runtimes", fmt::format("found {}, expected at most {}", options.runtimes.size(), runtimes_limit));
  for (const auto& [ending, runtime] : options.runtimes) {
    if (!is_ending(ending))
      add("runtimes", fmt::format("found {}, expected {}", in_quotes(ending), ending_rule));
    add("runtimes", problem_of_command(runtime.run));
    add("runtimes", problem_of_command(runtime.check));
  }
  return problems;
}

}  // namespace liveswap::config
