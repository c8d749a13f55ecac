#include "cli/option_table.hpp"

#include <algorithm>
#include <array>

namespace liveswap::cli {
namespace {

constexpr Commands start = only(Command::start);
constexpr Commands upgrade = only(Command::upgrade);
constexpr Commands swap = upgrade | only(Command::rollback);
constexpr Commands check = only(Command::check);
constexpr Commands json = swap | check | only(Command::verify) | only(Command::history) |
                          only(Command::receipt) | only(Command::status) | only(Command::list);
constexpr Commands pace = start | upgrade;
constexpr Commands verify = only(Command::verify);

constexpr std::array table{
    Option{"s", "start", "PATH", start, Section::action, "as liveswap start PATH"},
    Option{"u", "upgrade", "PATH", upgrade, Section::action, "as liveswap upgrade [PATH]",
           Takes::optional_text},
    Option{"m", "message", "TEXT", only(Command::message), Section::action, "as liveswap message TEXT"},
    Option{"k", "kill", "", only(Command::kill), Section::action, "as liveswap kill", Takes::nothing},
    Option{"d", "die", "", only(Command::die), Section::action, "as liveswap die", Takes::nothing},

    Option{"p", "port", "PORT", master_commands, Section::where,
           "port of the control server; names the instance (default 3000)"},
    Option{"a", "address", "HOST", master_commands, Section::where,
           "address of the control server (default 127.0.0.1)"},
    Option{"", "state-dir", "DIR", master_commands, Section::where,
           "HEAD, releases, log (default $XDG_STATE_HOME/liveswap/PORT;\nwithout it "
           "~/.local/state/liveswap/PORT, for root\n/var/lib/liveswap/PORT)"},
    Option{"", "runtime-dir", "DIR", master_commands, Section::where,
           "the control socket (default $XDG_RUNTIME_DIR/liveswap;\nwithout it /tmp/liveswap-UID, for root "
           "/run/liveswap)"},

    Option{"", "timeout", "TIME", client_commands, Section::client,
           "give up waiting for the answer (default: never)"},
    Option{"", "detach", "", swap, Section::client, "upgrade, rollback: return when it is under way",
           Takes::nothing},
    Option{"", "json", "", json, Section::client,
           "print the document: of status, list, history, check, verify or a receipt\n(upgrade and rollback "
           "print their receipt)",
           Takes::nothing},
    Option{"", "watch", "TIME", only(Command::status), Section::client,
           "status again and again, so long apart (default 1s)", Takes::optional_text},
    Option{"", "queue", "", upgrade, Section::client,
           "wait while another upgrade runs; a later one takes the place", Takes::nothing},

    Option{"", "path", "PATH", verify, Section::verify, "what is asked for, by GET (default /)"},
    Option{"", "connect", "", verify, Section::verify, "for servers that speak no HTTP: plain connects",
           Takes::nothing},
    Option{"", "upgrades", "N", verify, Section::verify, "good upgrades (default 10)"},
    Option{"", "faults", "LIST", verify, Section::verify,
           "none, all (default), or some of: crash-at-load, crash-at-start,\nhang-at-load, never-ready, "
           "returns-at-once, slow-drain,\nkilled-worker, overwrite"},
    Option{"", "clients", "N", verify, Section::verify,
           "each makes 25 requests a second (default 16); half of them keep\ntheir connections"},
    Option{"", "seconds-before", "TIME", verify, Section::verify,
           "measured before the first upgrade (default 3s)"},

    Option{"c", "config", "FILE", start, Section::application,
           "read options from a YAML file; those of the command line win"},
    Option{"", "daemon", "", start, Section::application,
           "go to the background; return when all workers are ready", Takes::nothing},
    Option{"", "force-target", "", start, Section::application,
           "begin with PATH (or target of the file) though HEAD names other\ncode; without it HEAD decides, "
           "where there is one",
           Takes::nothing},
    Option{"f", "forks", "N", start, Section::application,
           "number of workers (default 2); auto: one for each CPU"},
    Option{"H", "head", "PATH", start, Section::application,
           "the HEAD file, which names the code that is committed\n(default STATE-DIR/HEAD)"},
    Option{"", "pre-upgrade", "PATH", start, Section::application, "a plugin that runs before each upgrade"},
    Option{"z", "no-zero-downtime", "", start, Section::application, "an upgrade kills and respawns",
           Takes::nothing},

    Option{"", "listen", "[NAME=]ADDRESS", start, Section::sockets,
           "HOST:PORT, [HOST]:PORT, *:PORT or unix:/path; repeatable"},
    Option{"", "listen-mode", "MODE", start, Section::sockets,
           "reuseport: a socket for each worker (default); shared: one"},
    Option{"", "backlog", "N", start, Section::sockets, "length of the accept queue (default 4096)"},

    Option{"", "entry", "NAME", start | check, Section::own_sockets,
           "the function to run (default liveswap_main); main: that of an\nordinary program, built -shared"},
    Option{"", "intercept", "HOW", start, Section::own_sockets,
           "libc (default); seccomp: of programs with raw system calls, too"},
    Option{"", "keepalive", "WHAT", start, Section::own_sockets,
           "idle connections in a drain: end (default), migrate to the new\nworker (not with --intercept "
           "seccomp), or keep"},
    Option{"", "keepalive-grace", "TIME", start, Section::own_sockets,
           "how long such a one must have been idle (default 1s)"},
    Option{"", "no-await-listener", "", start, Section::own_sockets,
           "it may never listen: a worker that does not is ready after --settle", Takes::nothing},
    Option{"", "privileged-port", "PORT", start, Section::own_sockets,
           "that may be bound for workers of a --user who may not;\nrepeatable"},

    Option{"", "canary", "AMOUNT", pace, Section::pace,
           "so many slots first, which then bake: 1, or 10% (default 0)"},
    Option{"", "bake", "TIME", pace, Section::pace, "how long the canaries are judged (default 30s)"},
    Option{"", "probation", "TIME", pace, Section::pace,
           "after the last slot: a failure still reverts (default none)"},
    Option{"", "batch", "N", pace, Section::pace, "slots that get their successor at once (default 1)"},
    Option{"", "surge", "AMOUNT", pace, Section::pace,
           "workers beyond --forks during an upgrade: 2, or 50%\n(default 100%); 0: old before new"},
    Option{"", "flip", "", pace, Section::pace, "all successors are ready before the first serves: no mix",
           Takes::nothing},
    Option{"", "no-flip", "", upgrade, Section::pace,
           "slot by slot, where the master was started with --flip", Takes::nothing},

    Option{
        "", "health", "[NAME=]PROBE", start, Section::health,
        "connect, \"GET /path [STATUS]\" (default: any 2xx), of the\nlistener NAME (default: the first); or "
        "\"run /command ARG...\";\nrepeatable"},
    Option{"", "health-interval", "TIME", start, Section::health, "from round to round (default 1s)"},
    Option{"", "health-limit", "TIME", start, Section::health, "of one probe (default 2s)"},

    Option{"", "max-memory", "BYTES", start, Section::rollout,
           "of all workers, as 2G: no more successors than fit (PSS;\ndefault none)"},
    Option{"", "max-draining", "AMOUNT", start, Section::rollout,
           "workers that may drain at once: 8, or 400% of --forks (default\n800%); beyond it those that have "
           "drained longest are ended"},
    Option{"", "keep-releases", "N", start, Section::rollout,
           "snapshots to keep for rollback, 1 to 1000 (default 10)"},
    Option{"", "check-limit", "TIME", start | check, Section::rollout,
           "of loading a new release on trial first (default 30s)"},
    Option{"", "settle", "TIME", start, Section::rollout,
           "until a worker that never says so counts as ready (default 100ms)"},
    Option{"", "ready-limit", "TIME", start, Section::rollout, "from start to ready (default 30s)"},
    Option{"", "listener-wait", "TIME", start, Section::rollout,
           "until a listener that new code has not bound is taken for\ndropped (default 10s; at most half of "
           "--ready-limit)"},
    Option{"", "drain-limit", "TIME", start, Section::rollout,
           "from the order to drain until force; or none (default 1m)"},
    Option{"", "term-grace", "TIME", start, Section::rollout, "between the steps of force (default 2s)"},
    Option{"", "hook-limit", "TIME", start, Section::rollout, "of the pre-upgrade plugin (default 5m)"},
    Option{"", "backoff-min", "TIME", start, Section::rollout,
           "wait before a slot's second respawn in a row (default 100ms)"},
    Option{"", "backoff-max", "TIME", start, Section::rollout, "each wait doubles, up to this (default 30s)"},
    Option{"", "backoff-reset", "TIME", start, Section::rollout,
           "a worker that lived so long starts afresh (default 10s)"},

    Option{"", "env", "NAME=TEXT", start | check, Section::process,
           "environment variable of the workers; repeatable"},
    Option{"", "working-directory", "DIR", start, Section::process, "of the workers (default: this one)"},
    Option{"", "user", "USER", start, Section::process, "of the workers; needs root"},
    Option{"", "group", "GROUP", start, Section::process, "of the workers (default: the user's)"},
    Option{"", "limit", "NAME=N", start, Section::process,
           "resource limit, as nofile=65536 or core=unlimited; repeatable"},

    Option{"", "no-auth", "", start, Section::instance,
           "TCP control without token; loopback only, never as root", Takes::nothing},
    Option{"", "worker-host", "PATH", start | check, Section::instance,
           "liveswap-worker (default: beside liveswap)"},
    Option{"", "log-file", "PATH", start, Section::instance, "default: stderr; with --daemon STATE-DIR/log"},

    Option{"v", "version", "", all_commands, Section::other, "as liveswap version", Takes::nothing},
    Option{"h", "help", "", all_commands, Section::other, "as liveswap help [COMMAND]", Takes::nothing},
};

}  // namespace

std::span<const Option> option_table() { return table; }

bool is_handed_to_start(const Option& option) {
  return contains(option.commands, Command::start) &&
         (option.section == Section::sockets || option.section == Section::rollout ||
          option.section == Section::own_sockets || option.section == Section::process ||
          option.name == "config" || option.name == "forks" || option.name == "no-zero-downtime" ||
          option.name == "worker-host");
}

const Option* find_option(std::string_view name) {
  const auto found =
      std::find_if(table.begin(), table.end(), [&](const Option& o) { return o.name == name; });
  return found == table.end() ? nullptr : &*found;
}

}  // namespace liveswap::cli
