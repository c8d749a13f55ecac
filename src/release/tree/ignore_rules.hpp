#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"

namespace liveswap::release {

// Which files of a directory do not become part of its release: a subset of the patterns of git, from the
// file `.liveswapignore` at the top of the directory.
//
//   # comment        also empty lines
//   name             every file or directory of that name, at any depth; *, ? and [a-z] match within a name
//   name/            only directories
//   /name, a/b       relative to the top
//   **/name          the same as name
//   !name            takes what an earlier line left out, unless a directory above is left out
//
// The last matching line decides. Three lines come before those of the file: .git, .hg and .svn.
class IgnoreRules {
 public:
  static constexpr const char* file_name = ".liveswapignore";
  static constexpr std::size_t size_limit = std::size_t{64} * 1024;
  static constexpr std::size_t rules_limit = 1000;

  IgnoreRules();  // the three lines

  // An error names the line: `**` at another place, too many lines, or a NUL byte. `shown`: the file, for
  // errors. Pure.
  static Result<IgnoreRules> parse(std::string_view text, const std::string& shown);

  // Whether to leave this path out. `path`: relative to the top; the directories above are not left out.
  bool ignores(const std::string& path, bool is_directory) const;

 private:
  struct Rule {
    std::string pattern;
    bool takes = false;             // a line with "!"
    bool only_directories = false;  // a line with a slash at its end
    bool from_top = false;          // matches the whole path, not a name
  };
  static bool matches(const Rule& rule, const std::string& path, bool is_directory);
  Result<void> add(std::string_view line);

  std::vector<Rule> rules_;
};

}  // namespace liveswap::release
