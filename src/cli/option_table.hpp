#pragma once

#include <span>
#include <string_view>

#include "cli/command.hpp"

// All options of the command line: the parser, --help, docs/reference/options.md, docs/liveswap.1 and
// completions/liveswap are made from this table.
namespace liveswap::cli {

// Groups of options. option_headings() has their headings in --help, and the order.
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
  liveness,
  rollout,
  process,
  instance,
  other,
};

enum class Takes { nothing, text, optional_text };

struct Option {
  std::string_view letter;  // one letter; empty: none
  std::string_view name;
  std::string_view argument;  // placeholder of the value in --help; empty: no value
  Commands commands;          // that accept the option
  Section section;
  std::string_view values;     // allowed values: "1 to 1024, or auto"; empty: any text, or no value
  std::string_view preset;     // default, as typed or in words; empty: none
  std::string_view help;       // for --help and the reference
  std::string_view more = {};  // for the reference only: sentences with Markdown
  Takes takes = Takes::text;
};

std::span<const Option> option_table();

// An option of start that verify also accepts, for the application under test.
bool is_handed_to_start(const Option& option);

// Finds an option by its long name; nullptr: none.
const Option* find_option(std::string_view name);

}  // namespace liveswap::cli
