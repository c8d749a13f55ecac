#include "cli/help.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "cli/filled.hpp"
#include "cli/option_table.hpp"

namespace liveswap::cli {
namespace {

struct Page {
  Command command;
  std::string_view usage;
  std::string_view flags;  // the same, as the original has it; empty: there is none
  std::string_view about;
  std::string_view more;  // on the page of the command alone; lines end between paragraphs only
};

constexpr std::array pages{
    Page{Command::start, "start [LIBRARY] [-- ARG...]", "-s, --start LIBRARY",
         "run an application (default: HEAD)",
         "Runs in the foreground and logs to stderr, until `liveswap stop` or `die`, SIGTERM or SIGINT (both "
         "drain "
         "first; a second one ends at once). SIGHUP upgrades to what is at the current path, SIGUSR1 opens "
         "the log file "
         "anew, SIGQUIT writes the state to the log. A terminal that closes stops it; nohup and --daemon do "
         "not let it. "
         "ARGs are for the application."},
    Page{Command::upgrade, "upgrade [LIBRARY]", "-u, --upgrade [LIBRARY]", "swap the code (default: HEAD)",
         "Without LIBRARY, what is at the current path now. Returns when every old worker has gone, with the "
         "outcome "
         "as exit status. If the new code fails, the old code goes on to serve. Shows a bar on a terminal "
         "and a line "
         "an event otherwise; --json prints nothing but the receipt. Going away (Ctrl-C) does not stop the "
         "upgrade."},
    Page{Command::rollback, "rollback [N | RELEASE]", "", "back to an earlier release",
         "N is a receipt of `liveswap history`, RELEASE the first 6 or more digits of a release's id; "
         "without either, "
         "the release before the current one. From the store, by the rules of an upgrade."},
    Page{Command::promote, "promote", "", "end bake or probation as passed", "The upgrade goes on at once."},
    Page{Command::abort, "abort", "", "revert the upgrade under way",
         "Returns when the old code serves alone."},
    Page{Command::history, "history [N]", "", "the last N upgrades (default 20)",
         "Asks the master; without one, reads the state directory. On a terminal paths and ids get shorter "
         "where lines "
         "would not fit, reasons never. --json prints the receipts in short."},
    Page{Command::receipt, "receipt [N]", "", "all about one upgrade (default: the last)",
         "N is its number in `liveswap history`. A summary and a picture of each slot over time; --json "
         "prints the "
         "whole document. Asks the master; without one, reads the state directory."},
    Page{Command::message, "message TEXT", "-m, --message TEXT", "tell every worker something",
         "Says how many workers took it; fewer than all is a failure."},
    Page{Command::kill, "kill", "-k, --kill", "kill all workers and start new ones",
         "Returns when every slot has a new worker that is ready. Connections are lost."},
    Page{Command::die, "die", "-d, --die", "kill all workers and quit the master", "Connections are lost."},
    Page{Command::stop, "stop", "", "drain all workers, then quit", "Returns when every worker has gone."},
    Page{Command::status, "status", "", "what runs: master, slots, workers",
         "Of each worker its release, memory (RAM, pages that it shares included), open connections and, "
         "where the "
         "application counts them, requests and how many of them failed; of each slot the restarts and why "
         "the last one "
         "was. --watch shows it again and again: in place on a terminal until Ctrl-C, else one below the "
         "other; a master "
         "that goes away is waited for. --json prints the object that docs/protocol.md describes, with "
         "--watch a line each "
         "time."},
    Page{Command::forks, "forks N", "", "change the number of workers, 1 to 1024",
         "N may be auto: one for each CPU. Returns when the new slots are ready, or the old ones empty."},
    Page{Command::check, "check LIBRARY [-- ARG...]", "", "would an upgrade to it work",
         "Needs no master, touches none. Lists every symbol and library that is missing, what is likely to "
         "bite, and "
         "what it sees of a server that binds its own listeners (--entry main); then loads the library in a "
         "process of "
         "its own and runs its self-test there, as an upgrade does first. Exit status 1 when an upgrade "
         "would be "
         "refused. ARGs are for the self-test."},
    Page{Command::verify, "verify LIBRARY [SECOND] [-- ARG...]", "", "prove that upgrades lose nothing",
         "Starts LIBRARY in an instance of its own, on free ports, gives it load, upgrades it to SECOND (or "
         "to itself) "
         "and back under injected faults, and says what its clients have noticed; exit status 0: nothing. "
         "Everything "
         "is stopped and removed at the end. Options of start about sockets, upgrades, limits and workers "
         "are handed "
         "on to it. Here --ready-limit is 3s by default, and --drain-limit 10s."},
    Page{Command::list, "list", "", "the instances of this machine",
         "Those that you may control: your own, for root everybody's. Port, process, user, state, release "
         "and runtime "
         "directory of each; --json prints them as a list of objects."},
    Page{Command::version, "version", "-v, --version", "print the version", ""},
    Page{Command::help, "help [COMMAND]", "-h, --help", "print this, or the part of one command",
         "As wide as the terminal, 80 columns without one."},
};

struct Heading {
  Section section;
  std::string_view text;
};

constexpr std::array headings{
    Heading{Section::where, "Which instance"},
    Heading{Section::client, "To a running master"},
    Heading{Section::pace, "Start, and one upgrade alone: how it goes (TIME as in 100ms, 2s, 1m, 1h)"},
    Heading{Section::verify, "Verify"},
    Heading{Section::application, "Start"},
    Heading{Section::sockets, "Start: sockets"},
    Heading{Section::own_sockets, "Start: an application that opens its sockets itself"},
    Heading{Section::health, "Start: health probes, during bake and probation"},
    Heading{Section::rollout, "Start: releases and limits"},
    Heading{Section::process, "Start: the worker processes"},
    Heading{Section::instance, "Start: the master"},
    Heading{Section::other, "Other"},
};

// A term and what it means.
struct Entry {
  std::string_view term;
  std::string_view text;
};

constexpr std::array exit_statuses{
    Entry{"0", "done"},
    Entry{"1", "failed, for a reason that has no number of its own"},
    Entry{"2", "usage: command line or configuration file"},
    Entry{"3", "no master there"},
    Entry{"4",
          "refused: something else is under way, not allowed, already running, no file that can be tried, or "
          "the "
          "pre-upgrade plugin refused"},
    Entry{"5", "the upgrade failed and was reverted: the old code serves"},
    Entry{"6", "timed out"},
};

constexpr std::array environment{
    Entry{"LIVESWAP_PORT, LIVESWAP_ADDRESS", "defaults of -p and -a for every command but start"},
    Entry{"LIVESWAP_TOKEN", "the token of a master on another machine, instead of the file"},
    Entry{"NO_COLOR", "no colours"},
    Entry{"XDG_RUNTIME_DIR, XDG_STATE_HOME", "where sockets and state are"},
};

constexpr std::array files{
    Entry{"share/doc/liveswap/",
          "the documents (docs/protocol.md and others), under the prefix that bin/liveswap is installed in"},
    Entry{"RUNTIME-DIR/PORT.sock",
          "the control socket. RUNTIME-DIR is $XDG_RUNTIME_DIR/liveswap, for root without that variable "
          "/run/liveswap, "
          "else /tmp/liveswap-UID"},
    Entry{"STATE-DIR/",
          "HEAD, token, log; releases/ and history/. STATE-DIR is $XDG_STATE_HOME/liveswap/PORT, for root "
          "without that "
          "variable /var/lib/liveswap/PORT, else ~/.local/state/liveswap/PORT"},
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
constexpr std::size_t narrow_column = 8;  // where there is no room for two columns

// A term, and what it means in the column beside it: on the next line where the term is too long.
std::string entry_lines(const Entry& entry, std::size_t column, std::size_t width) {
  if (width < 2 * column) column = std::min(column, narrow_column);
  std::string line = fmt::format("  {}", entry.term);
  line +=
      line.size() + 2 <= column ? std::string(column - line.size(), ' ') : "\n" + std::string(column, ' ');
  return line + filled(std::string(entry.text), {width, column}) + "\n";
}

template <class Entries>
std::string entries_text(std::string_view heading, const Entries& entries, std::size_t column,
                         std::size_t width) {
  std::string text = fmt::format("{}\n", heading);
  for (const Entry& entry : entries) text += entry_lines(entry, column, width);
  return text;
}

std::string exit_statuses_text(std::size_t width) {
  return entries_text("Exit status", exit_statuses, 5, width);
}

std::string option_lines(const Option& option, std::size_t width) {
  const std::string term =
      fmt::format("{}--{}{}{}", option.letter.empty() ? "    " : fmt::format("-{}, ", option.letter),
                  option.name, option.argument.empty() ? "" : " ", option.argument);
  return entry_lines({term, option.help}, option_column, width);
}

// The options of each heading that `commands` have in common with it.
std::string options_text(Commands commands, std::size_t width) {
  std::string text;
  for (const auto& heading : headings) {
    std::string lines;
    for (const Option& option : option_table())
      if (option.section == heading.section && (option.commands & commands))
        lines += option_lines(option, width);
    if (!lines.empty()) text += fmt::format("{}\n{}\n", filled(std::string(heading.text), {width}), lines);
  }
  return text;
}

std::string everything(std::size_t width) {
  std::string text =
      filled(version_text() + ": replaces the code of a running server without losing a connection",
             {width}) +
      "\n\n";
  text += filled("Usage: liveswap [OPTION...] COMMAND, or its flag; options stand anywhere before --",
                 {width, 7}) +
          "\n\n";
  for (const Page& page : pages) {
    const std::string about =
        page.flags.empty() ? std::string(page.about) : fmt::format("{}; or {}", page.about, page.flags);
    text += entry_lines({page.usage, about}, option_column, width);
  }
  return fmt::format("{}\n{}{}\n{}\n{}\n{}", text, options_text(all_commands, width),
                     exit_statuses_text(width),
                     entries_text("Environment", environment, option_column, width),
                     entries_text("Files", files, option_column, width), examples);
}

}  // namespace

std::string help_text(std::optional<Command> command, std::size_t width) {
  if (!command) return everything(width);
  const Page& page = pages[static_cast<std::size_t>(*command)];
  std::string text = fmt::format("Usage: liveswap {} [OPTION...]\n", page.usage);
  if (!page.flags.empty()) text += fmt::format("   or: liveswap {} [OPTION...]\n", page.flags);
  text += "\n" + filled(fmt::format("{}: {}. {}", word(*command), page.about, page.more), {width}) + "\n\n";
  return text + options_text(only(*command), width) + exit_statuses_text(width);
}

std::string usage_text() {
  std::string text = "Usage: liveswap COMMAND [OPTION...]\n\n";
  for (const Page& page : pages) text += entry_lines({page.usage, page.about}, 38, 80);
  return text + "\n`liveswap help` has all options, `liveswap help COMMAND` those of one command.\n";
}

std::string version_text() { return "liveswap " LIVESWAP_VERSION; }

}  // namespace liveswap::cli
