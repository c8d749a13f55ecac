#pragma once

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/error.hpp"
#include "cli/command.hpp"
#include "liveswap.hpp"

namespace liveswap::cli {

// The command line as a value.
struct Arguments {
  std::optional<Command> command;  // none only with nothing, help or version; of help: what it is about
  bool nothing = false;            // the command line is empty
  bool help = false;
  bool version = false;
  bool daemon = false;
  bool detach = false;
  bool json = false;

  std::optional<Milliseconds> watch;  // of status: again and again, so long apart
  std::string second;                 // of verify: the other library
  std::string value;    // the path, the text or the number that the command is about; as it was given
  Client::Where where;  // of a command for a running master
  std::map<std::string, std::string> wishes;  // of upgrade: as in the protocol
  std::string config;                         // of start; empty: none
  std::vector<std::pair<std::string, std::string>>
      settings;  // of start and verify: long names and texts, in their order
  std::optional<std::vector<std::string>> application;  // of start and verify: what stands behind "--"
};

// The variables that are defaults of the client side; empty: not set.
struct Environment {
  std::string port;
  std::string address;
  std::string token;
};

// `words` is the command line without the program's name. An error is a text for people; the exit status is
// `usage`. Values of settings are checked later, by start_options().
Result<Arguments> parse_arguments(const std::vector<std::string>& words, const Environment& environment);

}  // namespace liveswap::cli
