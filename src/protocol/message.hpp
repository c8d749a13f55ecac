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
  reload,
  status,
  history,
  receipt,
  reexec,
};

const char* word(Verb verb);

struct Command {
  Verb verb = Verb::status;
  std::string value;  // empty: none. A decimal number for forks, history and receipt
  std::string token;
  std::string cwd;      // absolute; the base of a relative path in `value`. Empty: unknown
  bool detach = false;  // upgrade, rollback: answer as soon as the upgrade has started

  // Per-upgrade options: all further members of the object, each as text. config/wishes.hpp
  // checks names and values.
  std::map<std::string, std::string> wishes;
};

// Parses a line from an untrusted client. The error says what was expected.
Result<Command> parse_command(std::string_view line);

// The line for a command, newline included.
std::string to_line(const Command& command);

// Why a command failed: `status` in the answer, and the exit status of the client.
enum class Refusal { failed, usage, refused, reverted, timed_out };

const char* word(Refusal refusal);

// Lines, newline included. `verb_text`: the command as the client spelled it. Invalid UTF-8 is replaced.
std::string ok_line(std::string_view verb_text, const Json& members);
std::string error_line(std::string_view verb_text, Refusal refusal, std::string_view text);
// The same with further members, such as the number of a receipt.
std::string error_line(std::string_view verb_text, Refusal refusal, std::string_view text,
                       const Json& members);
std::string event_line(std::string_view event, const Json& members);

}  // namespace liveswap::protocol
