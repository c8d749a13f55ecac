#include "cli/help.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "cli/command_table.hpp"
#include "cli/wrapped.hpp"

namespace liveswap::cli {
namespace {

constexpr std::array files{
    Entry{"share/doc/liveswap/",
          "the documents (docs/README.md is the index), under the prefix that bin/liveswap is installed in"},
    Entry{"RUNTIME-DIR/PORT.sock",
          "the control socket. RUNTIME-DIR is $XDG_RUNTIME_DIR/liveswap, for root without that variable "
          "/run/liveswap, else /tmp/liveswap-UID"},
    Entry{"STATE-DIR/",
          "HEAD, token, log; releases/ and history/. STATE-DIR is $XDG_STATE_HOME/liveswap/PORT, for root "
          "without that variable /var/lib/liveswap/PORT, else ~/.local/state/liveswap/PORT"},
};

constexpr std::string_view examples =
    "Examples\n"
    "  liveswap start libapp.so --listen 127.0.0.1:1337 --forks auto -- --verbose\n"
    "  liveswap start -c liveswap.yaml --daemon\n"
    "  liveswap upgrade libapp_v2.so\n"
    "  liveswap upgrade libapp_v2.so --canary 10% --bake 1m --probation 10s\n"
    "  liveswap receipt\n"
    "  liveswap rollback\n"
    "  liveswap -u -p 3001\n"
    "  liveswap status\n";

constexpr std::size_t option_column = 30;
constexpr std::size_t narrow_column = 8;  // for narrow terminals

// A term with its description in the second column, or on the next line after a long term.
std::string entry_lines(const Entry& entry, std::size_t column, std::size_t width) {
  if (width < 2 * column) column = std::min(column, narrow_column);
  std::string line = fmt::format("  {}", entry.term);
  line +=
      line.size() + 2 <= column ? std::string(column - line.size(), ' ') : "\n" + std::string(column, ' ');
  return line + wrapped(std::string(entry.text), {width, column}) + "\n";
}

template <class Entries>
std::string entries_text(std::string_view heading, const Entries& entries, std::size_t column,
                         std::size_t width) {
  std::string text = fmt::format("{}\n", heading);
  for (const Entry& entry : entries) text += entry_lines(entry, column, width);
  return text;
}

std::string exit_statuses_text(std::size_t width) {
  return entries_text("Exit status", exit_statuses(), 5, width);
}

std::string option_lines(const Option& option, std::size_t width) {
  const std::string term =
      fmt::format("{}--{}{}{}", option.letter.empty() ? "    " : fmt::format("-{}, ", option.letter),
                  option.name, option.argument.empty() ? "" : " ", option.argument);
  std::string text(option.help);
  if (!option.preset.empty()) text += fmt::format(" (default {})", option.preset);
  return entry_lines({term, text}, option_column, width);
}

// The options of `commands` under their headings.
std::string options_text(Commands commands, std::size_t width) {
  std::string text;
  for (const auto& heading : option_headings()) {
    std::string lines;
    for (const Option& option : option_table())
      if (option.section == heading.section && (option.commands & commands))
        lines += option_lines(option, width);
    if (!lines.empty()) text += fmt::format("{}\n{}\n", wrapped(std::string(heading.text), {width}), lines);
  }
  return text;
}

std::string everything(std::size_t width) {
  std::string text =
      wrapped(version_text() + ": replaces the code of a running server without losing a connection",
              {width}) +
      "\n\n";
  text += wrapped("Usage: liveswap [OPTION...] COMMAND, or its flag; options stand anywhere before --",
                  {width, 7}) +
          "\n\n";
  for (const Page& page : command_pages()) {
    const std::string about =
        page.flags.empty() ? std::string(page.about) : fmt::format("{}; or {}", page.about, page.flags);
    text += entry_lines({page.usage, about}, option_column, width);
  }
  return fmt::format("{}\n{}{}\n{}\n{}\n{}", text, options_text(all_commands, width),
                     exit_statuses_text(width),
                     entries_text("Environment", environment_variables(), option_column, width),
                     entries_text("Files", files, option_column, width), examples);
}

}  // namespace

std::string help_text(std::optional<Command> command, std::size_t width) {
  if (!command) return everything(width);
  const Page& page = command_pages()[static_cast<std::size_t>(*command)];
  std::string text = fmt::format("Usage: liveswap {} [OPTION...]\n", page.usage);
  if (!page.flags.empty()) text += fmt::format("   or: liveswap {} [OPTION...]\n", page.flags);
  text += "\n" + wrapped(fmt::format("{}: {}. {}", word(*command), page.about, page.more), {width}) + "\n\n";
  return text + options_text(only(*command), width) + exit_statuses_text(width);
}

std::string usage_text() {
  std::string text = "Usage: liveswap COMMAND [OPTION...]\n\n";
  for (const Page& page : command_pages()) text += entry_lines({page.usage, page.about}, 38, 80);
  return text + "\n`liveswap help` has all options, `liveswap help COMMAND` those of one command.\n";
}

std::string version_text() { return "liveswap " LIVESWAP_VERSION; }

}  // namespace liveswap::cli
