#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace liveswap::load {

// What a script tells the client on its standard input, one command a line.
struct Command {
  enum class What {
    mark,  // `mark NAME`: a phase of that name begins
    stop,  // `stop`: no further requests
    bad,   // anything else: `text` is the line
  };
  What what;
  std::string text;

  bool operator==(const Command&) const = default;
};

// Cuts the stream into commands. A line that is longer than any command is bad; a last line without its end
// was cut off with its writer and is never reported.
class CommandLines {
 public:
  std::vector<Command> feed(std::string_view bytes);

 private:
  static constexpr std::size_t longest = 256;

  std::string line_;
};

}  // namespace liveswap::load
