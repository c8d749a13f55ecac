#pragma once

#include <span>
#include <string_view>

#include "cli/command.hpp"
#include "cli/option_table.hpp"

// Every command, once, and the other lists of --help. Made from them as well: docs/reference/commands.md and
// docs/liveswap.1.
namespace liveswap::cli {

struct Page {
  Command command;
  std::string_view usage;
  std::string_view flags;  // the same, as the original has it; empty: there is none
  std::string_view about;
  std::string_view more;  // on the page of the command alone; lines end between paragraphs only
};

// In the order of the enumerators.
std::span<const Page> command_pages();

struct Heading {
  Section section;
  std::string_view text;
};

// Of the sections of the option table, in the order of --help. Section::action has none: its options are
// commands.
std::span<const Heading> option_headings();

// A term and what it means.
struct Entry {
  std::string_view term;
  std::string_view text;
};

std::span<const Entry> exit_statuses();
std::span<const Entry> environment_variables();

}  // namespace liveswap::cli
