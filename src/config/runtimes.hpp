#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.hpp"
#include "config/reader.hpp"
#include "liveswap.hpp"

// Options that say what starts a release: its kind, the file in a directory, the runtimes of scripts.
namespace liveswap::config {

// "plugin", "program", "script", or "auto": "".
Result<std::string> parse_kind(std::string_view text);

// A relative path without "..".
Result<std::string> parse_start_file(std::string_view text);

// The words of a command, separated by blanks. There are no quotes.
Result<Runtime> parse_runtime(std::string_view text);

// `runtime:` and `runtimes:` of the file. A command is a text with words, a list of words, or a map with
// `run` and `check`.
void read_runtime(Reader& reader, const Node& key, const Node& node, Options& options);
void read_runtimes(Reader& reader, const Node& key, const Node& node, Options& options);

// What is wrong with these options: the name of the option, and why.
std::vector<std::pair<std::string, std::string>> problems_of_launch(const Options& options);

}  // namespace liveswap::config
