// Fuzzes what a client sends to a control socket: bytes are split into lines; each line is a command or is
// refused.
#include <algorithm>
#include <string>

#include "config/wishes.hpp"
#include "protocol/line_buffer.hpp"
#include "protocol/message.hpp"
#include "target.hpp"

namespace {

using namespace liveswap;
using fuzz::require;

void check_answer(const std::string& line) {
  require(line.starts_with('{') && line.ends_with("}\n") && line.find('\n') == line.size() - 1,
          "an answer is one line");
}

void take_line(const std::string& line) {
  const auto command = protocol::parse_command(line);
  if (!command) return check_answer(protocol::error_line("", protocol::Refusal::usage, command.error().text));
  const std::string written = protocol::to_line(*command);
  check_answer(written);
  const auto again = protocol::parse_command(written);
  require(again && again->verb == command->verb && again->value == command->value &&
              again->cwd == command->cwd && again->token == command->token &&
              again->detach == command->detach,
          "a command survives its own line");
  const auto wished = config::with_wishes(config::for_forks(Options{}, 2), command->wishes);
  if (!wished) check_answer(protocol::error_line("upgrade", protocol::Refusal::usage, wished.error().text));
}

}  // namespace

// The first byte is the size of the pieces in which the rest arrives. The line limit is small, so that inputs
// reach it.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  auto bytes = fuzz::text_of(data + 1, size - 1);
  const std::size_t piece = data[0] == 0 ? size : data[0];
  protocol::LineBuffer lines(data[0] % 2 == 0 ? protocol::line_limit : 64);
  while (!bytes.empty() && !lines.too_long()) {
    lines.append(bytes.substr(0, piece));
    bytes.remove_prefix(std::min(piece, bytes.size()));
    while (const auto line = lines.next()) {
      require(line->find('\n') == std::string::npos, "a line has no newline");
      take_line(*line);
    }
  }
  return 0;
}
