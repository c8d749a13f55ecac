#pragma once

#include <span>
#include <string_view>

#include "cli/command.hpp"
#include "cli/option_table.hpp"

// All commands, and the other lists of --help. docs/reference/commands.md and docs/liveswap.1 are generated
// from these tables.
namespace liveswap::cli {

struct Page {
  Command command;
  std::string_view usage;
  std::string_view flags;  // the flag that stands for the command, "-u, --upgrade [LIBRARY]"; empty: none
  std::string_view about;
  std::string_view more;  // only in the help of this command; newlines only between paragraphs
};

// In the order of the enumerators.
std::span<const Page> command_pages();

struct Heading {
  Section section;
  std::string_view text;
};

// Headings of the option sections, in the order of --help. None for Section::action: those options are
// commands.
std::span<const Heading> option_headings();

// A term and its description.
struct Entry {
  std::string_view term;
  std::string_view text;
};

std::span<const Entry> exit_statuses();
std::span<const Entry> environment_variables();

}  // namespace liveswap::cli
