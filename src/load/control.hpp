#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace liveswap::load {

// A command from standard input, one on each line.
struct Command {
  enum class What {
    mark,  // `mark NAME`: begins a phase
    stop,  // `stop`: no more requests
    bad,   // anything else; `text` is the line
  };
  What what;
  std::string text;

  bool operator==(const Command&) const = default;
};

// Splits the stream into commands. An overlong line is bad. Ignores a last line without a newline, as its
// writer has died.
class CommandLines {
 public:
  std::vector<Command> feed(std::string_view bytes);

 private:
  static constexpr std::size_t longest = 256;

  std::string line_;
};

}  // namespace liveswap::load
