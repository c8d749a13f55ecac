#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "liveswap.hpp"

// Checks the text of a configuration file, and finds the place of each mistake. Pure.
namespace liveswap::config {

struct Problem {
  int line = 0;  // from 1; 0: of no place in the file
  int column = 0;
  std::string key;   // empty: of no key
  std::string text;  // `forks: found "0", expected a number from 1 to 1024, or auto`
};

struct CheckedFile {
  Options options;  // the defaults if there is a problem
  std::vector<Problem> problems;
};

// Parses and validates. Values that contradict each other are looked for when each value is right. `path`:
// for messages; `directory`: absolute, of the file; `user`: the effective user of the master.
CheckedFile check_file(const std::string& text, const std::string& path, const std::string& directory,
                       uid_t user);

// The problems in an error of parse_yaml(path).
std::vector<Problem> problems_of(const std::string& error, const std::string& path);

// A line of an error of validate(), with its place in the file with this text: that of its key, or of another
// key in the line; the first line of the file if it has none of them.
Problem located(const std::string& line, const std::string& text);

// "liveswap.yaml:3:8: forks: found …".
std::string problem_text(const Problem& problem, const std::string& path);

}  // namespace liveswap::config
