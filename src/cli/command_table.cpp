#include "cli/command_table.hpp"

#include <array>

namespace liveswap::cli {
namespace {

constexpr std::array pages{
    Page{
        Command::start, "start [LIBRARY] [-- ARG...]", "-s, --start LIBRARY",
        "run an application (default: HEAD)",
        "Runs the release that the HEAD file names or, without a HEAD file, LIBRARY. Stays in the foreground "
        "and logs to stderr. `liveswap stop`, SIGTERM and SIGINT drain and stop the master; a second signal, "
        "and `liveswap die`, stop it at once. SIGHUP upgrades to the file at the current path, with the "
        "environment that the configuration file has now, SIGUSR1 opens "
        "the log file again, SIGUSR2 re-executes liveswap, SIGQUIT writes the state to the log. Closing the "
        "terminal stops the master, "
        "unless it was started with nohup or --daemon. ARGs are passed to the application."},
    Page{Command::upgrade, "upgrade [LIBRARY]", "-u, --upgrade [LIBRARY]", "swap the code (default: HEAD)",
         "Replaces every worker by one with the code of LIBRARY, or without LIBRARY, with the code that is "
         "now at the current path. Goes slot by slot: the new worker is ready before the old one drains. "
         "Returns when every old worker has exited; the exit status tells the outcome. If the new code "
         "fails, the old code continues to serve. A relative path starts at $PWD; symbolic links are "
         "followed again in each upgrade. Shows a bar on a terminal, and otherwise one line for each event; "
         "--json prints only the receipt. Ctrl-C ends the command, not the upgrade."},
    Page{Command::rollback, "rollback [N | RELEASE]", "", "back to an earlier release",
         "N is the number of a receipt in `liveswap history`, RELEASE the first 6 or more digits of a "
         "release id. Without either, goes to the release before the current one. Takes the code from the "
         "store, even if the original file has changed, and otherwise works as an upgrade."},
    Page{Command::promote, "promote", "", "end bake or probation as passed",
         "The upgrade continues at once."},
    Page{Command::abort, "abort", "", "revert the upgrade under way",
         "Returns when only the old code serves."},
    Page{Command::history, "history [N]", "", "the last N upgrades (default 20)",
         "Each with the number of its receipt. Asks the master; without a master, reads the state directory. "
         "On a terminal, long lines get shorter paths and ids; reasons are never cut. --json prints the "
         "short receipts."},
    Page{Command::receipt, "receipt [N]", "", "all about one upgrade (default: the last)",
         "N is the number in `liveswap history`. Prints a summary, what went wrong, and a timeline of each "
         "slot in which each phase has its own scale; --json prints the whole document. Asks the master; "
         "without a master, reads the state directory."},
    Page{Command::message, "message TEXT", "-m, --message TEXT", "send a text to every worker",
         "Prints the number of workers that received it. Fails if not all did."},
    Page{Command::kill, "kill", "-k, --kill", "kill all workers and start new ones",
         "Returns when every slot has a new worker that is ready. Connections are lost."},
    Page{Command::die, "die", "-d, --die", "kill all workers and quit the master", "Connections are lost."},
    Page{Command::stop, "stop", "", "drain all workers, then quit", "Returns when every worker has exited."},
    Page{Command::status, "status", "", "what runs: master, slots, workers",
         "For each worker: release, memory (RAM including shared pages), open connections and, if the "
         "application counts them, requests and failed requests. For each slot: the number of restarts and "
         "the reason of the last one. --watch repeats this: in place on a terminal until Ctrl-C, otherwise "
         "one block after the other; if the master has gone, it waits for the next one. --json prints the "
         "status object of "
         "the control protocol, with --watch one line each time."},
    Page{Command::forks, "forks N", "", "change the number of workers, 1 to 1024",
         "N may be auto: one for each CPU. Returns when the new slots are ready, or the removed ones empty."},
    Page{Command::reexec, "reexec", "", "replace liveswap itself, with no request lost",
         "The master executes the liveswap program that is now at its path, or --binary PATH, in its own "
         "process: "
         "the pid, the workers, the listeners and the clients stay. The new program first shows in a child "
         "process that it can read the master's state. If anything fails, the old program goes on, and the "
         "exit "
         "status tells. An upgrade that is under way is waited for, for one minute or --timeout. SIGUSR2 to "
         "the "
         "master does the same."},
    Page{Command::reload, "reload", "", "apply a changed configuration file",
         "The master reads its configuration file (--config of the start) again, checks all of it, and "
         "applies what "
         "has changed: at once, or what concerns workers by a new generation of the same code, as an upgrade "
         "does, "
         "with canary, probation and revert. Options of the start's command line still win. What cannot be "
         "changed "
         "while the master runs is named, and then nothing is applied. A reload that fails leaves everything "
         "as it "
         "was. --dry-run prints what would be done; --json prints the answer of the control protocol."},
    Page{Command::check, "check LIBRARY [-- ARG...]", "", "would an upgrade to it work",
         "Needs no master. Lists every missing symbol and library, likely problems, and for a server that "
         "binds its own listeners (--entry main), what liveswap can observe. Then loads the library in a "
         "separate process and runs its self-test, as an upgrade does first. Exit status 1: an upgrade would "
         "be refused. ARGs are passed to the self-test."},
    Page{Command::config, "config check FILE", "", "is a configuration file right",
         "Needs no master. Prints every mistake with line, column, key, and what was found and expected; "
         "exit status "
         "2. Without a mistake prints one line; exit status 0. A file that names a user or group is checked "
         "as for "
         "root. Does not look whether paths and users of the file exist."},
    Page{Command::verify, "verify LIBRARY [SECOND] [-- ARG...]", "", "prove that upgrades lose nothing",
         "Needs no master. Starts LIBRARY in a separate instance on free ports, sends requests, upgrades it "
         "to SECOND (or to LIBRARY again) and back, injects faults, and reports what clients noticed. Exit "
         "status 0: no request was lost, except on workers that verify killed, and every upgrade and fault "
         "ended as expected. Stops and removes everything at the end. Accepts the options of start about "
         "sockets, upgrades, limits and workers. Defaults differ for --ready-limit and --check-limit (3s), "
         "and --drain-limit (10s)."},
    Page{Command::list, "list", "", "the instances of this machine",
         "Lists the instances that you may control: your own, for root those of all users. Prints port, "
         "process, user, state, release and runtime directory of each; --json prints a list of objects."},
    Page{Command::version, "version", "-v, --version", "print the version", ""},
    Page{Command::help, "help [COMMAND]", "-h, --help", "print this help, or that of one command",
         "Uses the width of the terminal, or 80 columns without one."},
};

constexpr std::array headings{
    Heading{Section::where, "Which instance"},
    Heading{Section::client, "To a running master"},
    Heading{Section::pace, "Start, and a single upgrade: how it proceeds (TIME as in 100ms, 2s, 1m, 1h)"},
    Heading{Section::verify, "Verify"},
    Heading{Section::application, "Start"},
    Heading{Section::sockets, "Start: sockets"},
    Heading{Section::own_sockets, "Start: an application that opens its sockets itself"},
    Heading{Section::health, "Start: health probes, during bake and probation"},
    Heading{Section::liveness, "Start: liveness checks, all the time"},
    Heading{Section::rollout, "Start: releases and limits"},
    Heading{Section::process, "Start: the worker processes"},
    Heading{Section::instance, "Start: the master"},
    Heading{Section::other, "Other"},
};

constexpr std::array statuses{
    Entry{"0", "done"},
    Entry{"1", "failed for any other reason"},
    Entry{"2", "usage: command line or configuration file"},
    Entry{"3", "no master on that port"},
    Entry{"4",
          "refused: another upgrade runs, not permitted, already running, file not usable, or the "
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
