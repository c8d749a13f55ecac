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

// The parsed command line.
struct Arguments {
  // With `help`: the command to explain. Empty only if `nothing`, `help` or `version` is set.
  std::optional<Command> command;
  bool nothing = false;  // the command line is empty
  bool help = false;
  bool version = false;
  bool daemon = false;
  bool restart = false;
  bool detach = false;
  bool json = false;
  bool dry_run = false;

  std::optional<Milliseconds> watch;          // status: interval of repetition
  std::string second;                         // verify: path of the second library; config: of the file
  std::string value;                          // operand as typed: path, text or number
  Client::Where where;                        // of the instance
  std::map<std::string, std::string> wishes;  // upgrade: as in the protocol
  std::string config;                         // start: path; empty: none
  std::vector<std::pair<std::string, std::string>> settings;  // start, verify: long names and values in order
  std::optional<std::vector<std::string>> application;        // start, verify: words after "--"
};

// Environment variables with defaults for client commands; empty: not set.
struct Environment {
  std::string port;
  std::string address;
  std::string token;
};

// `words`: the command line without the program name. The error is a text for people; the exit status is then
// `usage`. start_options() checks the values of `settings`.
Result<Arguments> parse_arguments(const std::vector<std::string>& words, const Environment& environment);

}  // namespace liveswap::cli
