#include "cli/command_table.hpp"

#include <array>

namespace liveswap::cli {
namespace {

constexpr std::array pages{
    Page{Command::start, "start [LIBRARY] [-- ARG...]", "-s, --start LIBRARY",
         "run an application (default: HEAD)",
         "Runs what the HEAD file names or, where there is none yet, LIBRARY. Stays in the foreground and "
         "logs to stderr, until `liveswap stop` or `die`, SIGTERM or SIGINT (both drain first; a second one "
         "ends at once). SIGHUP upgrades to what is at the current path, SIGUSR1 opens the log file anew, "
         "SIGQUIT writes the state to the log. A terminal that closes stops it; nohup and --daemon do not "
         "let it. ARGs are for the application."},
    Page{Command::upgrade, "upgrade [LIBRARY]", "-u, --upgrade [LIBRARY]", "swap the code (default: HEAD)",
         "Gives every worker a successor with the code of LIBRARY or, without it, of what is at the current "
         "path now: one slot after the other, each new worker before its old one. Returns when every old "
         "worker has gone, with the outcome as exit status. If the new code fails, the old code goes on to "
         "serve. A relative path is meant from $PWD; a link in the path is followed anew by each upgrade. "
         "Shows a bar on a terminal and a line an event otherwise; --json prints nothing but the receipt. "
         "Going away (Ctrl-C) does not stop the upgrade."},
    Page{Command::rollback, "rollback [N | RELEASE]", "", "back to an earlier release",
         "N is a receipt of `liveswap history`, RELEASE the first 6 or more digits of a release's id; "
         "without either, the release before the current one. From the store, whatever has become of the "
         "file, by the rules of an upgrade."},
    Page{Command::promote, "promote", "", "end bake or probation as passed", "The upgrade goes on at once."},
    Page{Command::abort, "abort", "", "revert the upgrade under way",
         "Returns when the old code serves alone."},
    Page{Command::history, "history [N]", "", "the last N upgrades (default 20)",
         "Each with the number of its receipt. Asks the master; without one, reads the state directory. On a "
         "terminal paths and ids get shorter where lines would not fit, reasons never. --json prints the "
         "receipts in short."},
    Page{Command::receipt, "receipt [N]", "", "all about one upgrade (default: the last)",
         "N is its number in `liveswap history`. A summary, what went wrong, and a picture of each slot over "
         "time, in which each phase has a scale of its own; --json prints the whole document. Asks the "
         "master; without one, reads the state directory."},
    Page{Command::message, "message TEXT", "-m, --message TEXT", "tell every worker something",
         "Says how many workers took it; fewer than all is a failure."},
    Page{Command::kill, "kill", "-k, --kill", "kill all workers and start new ones",
         "Returns when every slot has a new worker that is ready. Connections are lost."},
    Page{Command::die, "die", "-d, --die", "kill all workers and quit the master", "Connections are lost."},
    Page{Command::stop, "stop", "", "drain all workers, then quit", "Returns when every worker has gone."},
    Page{Command::status, "status", "", "what runs: master, slots, workers",
         "Of each worker its release, memory (RAM, pages that it shares included), open connections and, "
         "where the application counts them, requests and how many of them failed; of each slot the restarts "
         "and why the last one was. --watch shows it again and again: in place on a terminal until Ctrl-C, "
         "else one below the other; a master that goes away is waited for. --json prints the status object "
         "of the control protocol, with --watch a line each time."},
    Page{Command::forks, "forks N", "", "change the number of workers, 1 to 1024",
         "N may be auto: one for each CPU. Returns when the new slots are ready, or the old ones empty."},
    Page{Command::check, "check LIBRARY [-- ARG...]", "", "would an upgrade to it work",
         "Needs no master, touches none. Lists every symbol and library that is missing, what is likely to "
         "bite, and what it sees of a server that binds its own listeners (--entry main); then loads the "
         "library in a process of its own and runs its self-test there, as an upgrade does first. Exit "
         "status 1 when an upgrade would be refused. ARGs are for the self-test."},
    Page{Command::verify, "verify LIBRARY [SECOND] [-- ARG...]", "", "prove that upgrades lose nothing",
         "Needs no master. Starts LIBRARY in an instance of its own, on free ports, gives it load, upgrades "
         "it to SECOND (or to itself) and back under injected faults, and says what its clients have "
         "noticed. Exit status 0: no request was lost but those that a worker held which verify had killed, "
         "and every upgrade and fault ended as it should. Everything is stopped and removed at the end. "
         "Options of start about sockets, upgrades, limits and workers are handed on to it. Here "
         "--ready-limit and --check-limit are 3s by default, and --drain-limit 10s."},
    Page{Command::list, "list", "", "the instances of this machine",
         "Those that you may control: your own, for root everybody's. Port, process, user, state, release "
         "and runtime directory of each; --json prints them as a list of objects."},
    Page{Command::version, "version", "-v, --version", "print the version", ""},
    Page{Command::help, "help [COMMAND]", "-h, --help", "print this, or the part of one command",
         "As wide as the terminal, 80 columns without one."},
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

constexpr std::array statuses{
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

}  // namespace

std::span<const Page> command_pages() { return pages; }
std::span<const Heading> option_headings() { return headings; }
std::span<const Entry> exit_statuses() { return statuses; }
std::span<const Entry> environment_variables() { return environment; }

}  // namespace liveswap::cli
