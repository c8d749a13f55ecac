#pragma once

#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "base/error.hpp"

// Commands, answers and events of the control protocol (docs/reference/control-protocol.md) as values. Pure.
namespace liveswap::protocol {

using Json = nlohmann::json;

enum class Verb {
  upgrade,
  rollback,
  promote,
  abort,
  kill,
  die,
  stop,
  message,
  forks,
  status,
  history,
  receipt,
};

const char* word(Verb verb);

struct Command {
  Verb verb = Verb::status;
  std::string value;    // empty: none. For forks, history and receipt a number in digits
  std::string token;    // empty: none
  std::string cwd;      // what a relative path in `value` is meant from; empty: not said. Absolute
  bool detach = false;  // of an upgrade or rollback: answer when it is under way

  // What an upgrade or rollback shall do otherwise: every further member of the object, "true" and "false"
  // among the texts. Neither names nor texts are checked here, config/wishes.hpp does that.
  std::map<std::string, std::string> wishes;
};

// A line from a client, which is hostile until checked: anything that is not exactly a command is an error
// that says what was expected.
Result<Command> parse_command(std::string_view line);

// The line of a command, with its newline.
std::string to_line(const Command& command);

// Why a command was not carried out: the word in `status` of an answer, and the exit status of the client.
enum class Refusal { failed, usage, refused, reverted, timed_out };

const char* word(Refusal refusal);

// Lines, with their newline. `verb_text` is what the client called the command. Text that is no UTF-8 is
// repaired.
std::string ok_line(std::string_view verb_text, const Json& members);
std::string error_line(std::string_view verb_text, Refusal refusal, std::string_view text);
// With further members, as the number of a receipt.
std::string error_line(std::string_view verb_text, Refusal refusal, std::string_view text,
                       const Json& members);
std::string event_line(std::string_view event, const Json& members);

}  // namespace liveswap::protocol
