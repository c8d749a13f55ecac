#include "cli/help.hpp"

#include <fmt/format.h>

#include <array>

#include "cli/option_table.hpp"

namespace liveswap::cli {
namespace {

struct Page {
  Command command;
  std::string_view usage;
  std::string_view flags;  // the same, as the original has it; empty: there is none
  std::string_view about;
  std::string_view more;  // on the page of the command alone
};

constexpr std::array pages{
    Page{
        Command::start, "start [LIBRARY] [-- ARG...]", "-s, --start LIBRARY",
        "run an application (default: HEAD)",
        "Runs in the foreground and logs to stderr, until `liveswap stop` or `die`, SIGTERM or SIGINT (both\n"
        "drain first; a second one ends at once). SIGHUP upgrades to what is at the current path.\n"
        "ARGs are for the application.\n"},
    Page{
        Command::upgrade, "upgrade [LIBRARY]", "-u, --upgrade [LIBRARY]", "swap the code (default: HEAD)",
        "Without LIBRARY, what is at the current path now. Returns when every old worker has gone, with the\n"
        "outcome as exit status. If the new code fails, the old code goes on to serve. Shows a bar on a\n"
        "terminal and a line an event otherwise; --json prints nothing but the receipt. Going away\n"
        "(Ctrl-C) does not stop the upgrade.\n"},
    Page{Command::rollback, "rollback [N | RELEASE]", "", "back to an earlier release",
         "N is a receipt of `liveswap history`, RELEASE the first 6 or more digits of a release's id; "
         "without\n"
         "either, the release before the current one. From the store, by the rules of an upgrade.\n"},
    Page{Command::promote, "promote", "", "end bake or probation as passed",
         "The upgrade goes on at once.\n"},
    Page{Command::abort, "abort", "", "revert the upgrade under way",
         "Returns when the old code serves alone.\n"},
    Page{Command::history, "history [N]", "", "the last N upgrades (default 20)",
         "Asks the master; without one, reads the state directory. --json prints the receipts in short.\n"},
    Page{Command::receipt, "receipt [N]", "", "all about one upgrade (default: the last)",
         "N is its number in `liveswap history`. A summary and a picture of each slot over time; --json "
         "prints\n"
         "the whole document. Asks the master; without one, reads the state directory.\n"},
    Page{Command::message, "message TEXT", "-m, --message TEXT", "tell every worker something",
         "Says how many workers took it; fewer than all is a failure.\n"},
    Page{Command::kill, "kill", "-k, --kill", "kill all workers and start new ones",
         "Returns when every slot has a new worker that is ready. Connections are lost.\n"},
    Page{Command::die, "die", "-d, --die", "kill all workers and quit the master", "Connections are lost.\n"},
    Page{Command::stop, "stop", "", "drain all workers, then quit", "Returns when every worker has gone.\n"},
    Page{Command::status, "status [--json]", "", "what runs: master, slots, workers",
         "--json prints the object that docs/protocol.md describes.\n"},
    Page{Command::forks, "forks N", "", "change the number of workers, 1 to 1024",
         "Returns when the new slots are ready, or the old ones empty.\n"},
    Page{Command::check, "check LIBRARY [-- ARG...]", "", "would an upgrade to it work",
         "Needs no master, touches none. Lists every symbol and library that is missing, what is likely to\n"
         "bite, and what it sees of a server that binds its own listeners (--entry main); then loads the\n"
         "library in a process of its own and runs its self-test there, as an upgrade does first. Exit status\n"
         "1 when an upgrade would be refused. ARGs are for the self-test.\n"},
    Page{Command::verify, "verify LIBRARY [SECOND] [-- ARG...]", "", "prove that upgrades lose nothing",
         "Starts LIBRARY in an instance of its own, on free ports, gives it load, upgrades it to SECOND (or to\n"
         "itself) and back under injected faults, and says what its clients have noticed; exit status 0:\n"
         "nothing. Everything is stopped and removed at the end. Options of start about sockets, upgrades,\n"
         "limits and workers are handed on to it. Here --ready-limit is 3s by default, and --drain-limit 10s.\n"},
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

constexpr std::string_view exit_statuses =
    "Exit status\n"
    "  0  done\n"
    "  1  failed, for a reason that has no number of its own\n"
    "  2  usage: command line or configuration file\n"
    "  3  no master there\n"
    "  4  refused: something else is under way, not allowed, already running\n"
    "  5  the upgrade failed and was reverted: the old code serves\n"
    "  6  timed out\n";

constexpr std::string_view environment =
    "Environment\n"
    "  LIVESWAP_PORT, LIVESWAP_ADDRESS   defaults of -p and -a for every command but start\n"
    "  LIVESWAP_TOKEN                    the token of a master on another machine, instead of the file\n"
    "  NO_COLOR                          no colours\n"
    "  XDG_RUNTIME_DIR, XDG_STATE_HOME   where sockets and state are\n";

constexpr std::string_view files =
    "Files\n"
    "  RUNTIME-DIR/PORT.sock  the control socket. RUNTIME-DIR is $XDG_RUNTIME_DIR/liveswap, for root\n"
    "                         without that variable /run/liveswap, else /tmp/liveswap-UID\n"
    "  STATE-DIR/             HEAD, token, log; releases/ and history/. STATE-DIR is\n"
    "                         $XDG_STATE_HOME/liveswap/PORT, else ~/.local/state/liveswap/PORT\n";

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

constexpr std::size_t option_column = 34;

std::string option_lines(const Option& option) {
  std::string line = option.letter.empty() ? "      --" : fmt::format("  -{}, --", option.letter);
  line += option.name;
  if (!option.argument.empty()) line += fmt::format(" {}", option.argument);
  line += std::string(option_column > line.size() + 1 ? option_column - line.size() : 2, ' ');
  for (const char c : option.help)
    line += c == '\n' ? "\n" + std::string(option_column, ' ') : std::string(1, c);
  return line + "\n";
}

// The options of each heading that `commands` have in common with it.
std::string options_text(Commands commands) {
  std::string text;
  for (const auto& heading : headings) {
    std::string lines;
    for (const Option& option : option_table())
      if (option.section == heading.section && (option.commands & commands)) lines += option_lines(option);
    if (!lines.empty()) text += fmt::format("{}\n{}\n", heading.text, lines);
  }
  return text;
}

std::string everything() {
  std::string text =
      version_text() + ": replaces the code of a running server without losing a connection\n\n";
  text += "Usage: liveswap [OPTION...] COMMAND, or its flag; options stand anywhere before --\n\n";
  for (const Page& page : pages)
    text += fmt::format("  {:<28} {:<24} {}\n", page.usage, page.flags, page.about);
  return fmt::format("{}\n{}{}\n{}\n{}\n{}", text, options_text(all_commands), exit_statuses, environment,
                     files, examples);
}

}  // namespace

std::string help_text(std::optional<Command> command) {
  if (!command) return everything();
  const Page& page = pages[static_cast<std::size_t>(*command)];
  std::string text = fmt::format("Usage: liveswap {} [OPTION...]\n", page.usage);
  if (!page.flags.empty()) text += fmt::format("   or: liveswap {} [OPTION...]\n", page.flags);
  text +=
      fmt::format("\n{}: {}.\n{}\n{}", word(*command), page.about, page.more, options_text(only(*command)));
  return text + std::string(exit_statuses);
}

std::string version_text() { return "liveswap " LIVESWAP_VERSION; }

}  // namespace liveswap::cli
