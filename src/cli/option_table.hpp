#pragma once

#include <span>
#include <string_view>

#include "cli/command.hpp"

// Every option of the command line, once: what is parsed, what is allowed where, and what is said of it. Made
// from this table: --help, docs/reference/options.md, the options of docs/liveswap.1, the words of
// completions/liveswap.
namespace liveswap::cli {

// The headings of --help, in its order.
enum class Section {
  action,
  where,
  client,
  verify,
  pace,
  application,
  sockets,
  own_sockets,
  health,
  rollout,
  process,
  instance,
  other,
};

enum class Takes { nothing, text, optional_text };

struct Option {
  std::string_view letter;  // empty: none
  std::string_view name;
  std::string_view argument;  // its name in --help; empty: takes nothing
  Commands commands;          // where it means something
  Section section;
  std::string_view values;  // which are allowed: "1 to 1024, or auto"; empty: any text, or it takes none
  std::string_view preset;  // what holds without the option, as it is typed, or in words; empty: nothing does
  std::string_view help;    // for --help and the reference
  std::string_view more = {};  // for the reference alone: whole sentences, literal words in backquotes, links
  Takes takes = Takes::text;
};

std::span<const Option> option_table();

// An option of start that verify takes too: it makes the same application, in an instance of its own.
bool is_handed_to_start(const Option& option);

// The option of that long name; nullptr when there is none.
const Option* find_option(std::string_view name);

}  // namespace liveswap::cli
