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
                          only(Command::receipt) | only(Command::status) | only(Command::list) |
                          only(Command::reload) | only(Command::config);
constexpr Commands pace = start | upgrade;
constexpr Commands reload = only(Command::reload);
constexpr Commands verify = only(Command::verify);

constexpr std::array table{
    Option{"s", "start", "PATH", start, Section::action, "", "", "as liveswap start PATH"},
    Option{"u", "upgrade", "PATH", upgrade, Section::action, "", "", "as liveswap upgrade [PATH]", "",
           Takes::optional_text},
    Option{"m", "message", "TEXT", only(Command::message), Section::action, "", "",
           "as liveswap message TEXT"},
    Option{"k", "kill", "", only(Command::kill), Section::action, "", "", "as liveswap kill", "",
           Takes::nothing},
    Option{"d", "die", "", only(Command::die), Section::action, "", "", "as liveswap die", "",
           Takes::nothing},

    Option{"p", "port", "PORT", master_commands, Section::where, "1 to 65535", "3000",
           "port of the control server; names the instance",
           "Each instance has a port of its own. For commands other than start, `LIVESWAP_PORT` changes the "
           "default."},
    Option{"a", "address", "HOST", master_commands, Section::where, "a host name or number, without a port",
           "127.0.0.1", "address of the control server",
           "For commands other than start, `LIVESWAP_ADDRESS` changes the default."},
    Option{"", "state-dir", "DIR", master_commands, Section::where, "path",
           "$XDG_STATE_HOME/liveswap/PORT; without that variable /var/lib/liveswap/PORT for root, "
           "~/.local/state/liveswap/PORT for others",
           "directory of HEAD, releases, history, token, locks and log"},
    Option{"", "runtime-dir", "DIR", master_commands, Section::where, "path",
           "$XDG_RUNTIME_DIR/liveswap; without that variable /run/liveswap for root, /tmp/liveswap-UID for "
           "others",
           "directory of the control socket",
           "Without this option a command looks in the directories of every place where a master of the same "
           "user may run; for root, of every user."},

    Option{"", "timeout", "TIME", client_commands, Section::client, "0ms to 576h", "0ms",
           "give up waiting for the answer after this time; 0ms: never",
           "A command that gives up exits with status 6. The master finishes the command all the same. For "
           "reexec: how long the master waits for what is under way before it refuses; 0ms: one minute."},
    Option{"", "binary", "PATH", only(Command::reexec), Section::client, "path", "",
           "the program to execute; default: what is now at the path of the running one"},
    Option{"", "detach", "", swap, Section::client, "", "",
           "return when the upgrade or rollback is under way", "", Takes::nothing},
    Option{"", "json", "", json, Section::client, "", "",
           "print the JSON document: of status, list, history, check, config, verify, a reload or a receipt",
           "upgrade and rollback print the receipt, and nothing else.", Takes::nothing},
    Option{
        "", "watch", "TIME", only(Command::status), Section::client, "100ms to 576h", "1s",
        "show the status again and again, with this time between two of them",
        "The time may be left out. A terminal shows the status in place, until Ctrl-C. Elsewhere each status "
        "is printed after the one before.",
        Takes::optional_text},
    Option{"", "dry-run", "", reload, Section::client, "", "", "print what a reload would do, and do nothing",
           "", Takes::nothing},
    Option{"", "queue", "", upgrade, Section::client, "", "", "wait while another upgrade runs",
           "One upgrade can wait. A newer one replaces it, and the one that waited is refused.",
           Takes::nothing},

    Option{"", "path", "PATH", verify, Section::verify, "a path that begins with /, without blanks", "/",
           "the path that the clients request by GET"},
    Option{"", "connect", "", verify, Section::verify, "", "",
           "only open and close connections, for servers that do not speak HTTP", "", Takes::nothing},
    Option{"", "upgrades", "N", verify, Section::verify, "0 to 10000", "10",
           "how many upgrades to a working release are made"},
    Option{"", "faults", "LIST", verify, Section::verify, "none, all, or names with commas between them",
           "all",
           "which faults are injected: some of crash-at-load, crash-at-start, hang-at-load, never-ready, "
           "returns-at-once, slow-drain, killed-worker, overwrite; or none"},
    Option{"", "clients", "N", verify, Section::verify, "1 to 4000", "16",
           "how many clients: each makes 25 requests a second, half of them keep their connections"},
    Option{"", "seconds-before", "TIME", verify, Section::verify, "0ms to 576h", "3s",
           "how long the server is measured before the first upgrade"},

    Option{"c", "config", "FILE", start, Section::application, "path", "",
           "read options from a YAML file; those of the command line win",
           "At most 1 MiB. The keys stand in the [configuration reference](configuration.md)."},
    Option{
        "", "daemon", "", start, Section::application, "", "",
        "go to the background; return when all workers are ready",
        "When a worker fails, the start fails with the reason. The log goes to `log` in the state directory.",
        Takes::nothing},
    Option{
        "", "restart", "", start, Section::application, "", "",
        "with --daemon: start the master again when it is killed or crashes",
        "A small process beside the master waits for that; its pid is the one that the start prints, and it "
        "passes signals on. The new master takes the workers over: see [a killed "
        "master](../explanation/killed-master.md). A master that is told to stop is not started again.",
        Takes::nothing},
    Option{
        "", "force-target", "", start, Section::application, "", "",
        "start PATH (or `target` of the file) even if HEAD names other code",
        "Without this option the start runs what HEAD names, if there is a HEAD, and says so when the target "
        "differs. A HEAD that exists and cannot be read makes such a start fail.",
        Takes::nothing},
    Option{"f", "forks", "N", start, Section::application, "1 to 1024, or auto", "2",
           "number of workers; auto: one for each CPU", "auto counts the CPUs that the master may use."},
    Option{"H", "head", "PATH", start, Section::application, "path", "STATE-DIR/HEAD",
           "the HEAD file, which names the code that is committed"},
    Option{"", "pre-upgrade", "PATH", start, Section::application, "path", "",
           "a plugin, script or program that runs before each upgrade",
           "It runs in a process of its own: see [pre-upgrade plugins](../how-to/write-a-plugin.md)."},
    Option{"z", "no-zero-downtime", "", start, Section::application, "", "",
           "an upgrade kills all workers and starts new ones", "Connections are lost.", Takes::nothing},

    Option{"", "listen", "[NAME=]ADDRESS", start, Section::sockets, "at most 64", "",
           "where to listen: HOST:PORT, [HOST]:PORT, *:PORT or unix:/path; repeatable",
           "`*:80` is every address of both families, `0.0.0.0:80` and `[::]:80` those of one; port 0: the "
           "kernel chooses. A name has 1 to 64 letters, digits, `.`, `_` or `-`; a listener without a "
           "name is named by its number, `0` for the first."},
    Option{
        "", "listen-mode", "MODE", start, Section::sockets, "reuseport or shared", "reuseport",
        "one socket for each slot (reuseport), or one for all (shared)",
        "With reuseport each slot has a queue of its own. New connections go to the slots in turn where eBPF "
        "is allowed (CAP_BPF), otherwise by a hash of the addresses. "
        "With shared, whichever worker is free accepts, so a hung worker stalls no other."},
    Option{"", "backlog", "N", start, Section::sockets, "1 to 2147483647", "4096",
           "length of the accept queue", "The kernel limits it to `net.core.somaxconn`."},

    Option{
        "", "kind", "KIND", start | check, Section::own_sockets, "plugin, program, script or auto", "auto",
        "what a release is: a shared library (plugin), a program, or a script; auto: what its content tells",
        "See [kinds of releases](kinds.md)."},
    Option{"", "start-file", "FILE", start | check, Section::own_sockets, "a relative path", "",
           "what starts a release that is a directory; `--start FILE` means the same behind a command",
           "Without it: `main` of package.json, or index.js; `__main__.py`; `config.ru`."},
    Option{
        "", "runtime", "COMMAND", start | check, Section::own_sockets, "words separated by blanks", "",
        "the command that runs the script, such as \"/opt/py/bin/python3 -u\"",
        "Without it: what `runtimes` of the configuration file names for the ending, the `#!` line, or the "
        "usual runtime of the ending."},

    Option{"", "entry", "NAME", start | check, Section::own_sockets, "the name of a function",
           "liveswap_main", "the function to run; main: an ordinary program, linked with -shared",
           "`liveswap_main` gets the first listener. Any other function is called as `main` is, with the "
           "arguments behind `--`, and binds its own listeners."},
    Option{"", "intercept", "HOW", start, Section::own_sockets, "libc or seccomp", "libc",
           "how the application's bind and listen are intercepted: as calls of the C library (libc), or also "
           "as raw "
           "system calls (seccomp)",
           "seccomp is for Go and the like: a filter of the kernel on `bind` and `listen`, which children "
           "inherit, and which sets no_new_privs where workers lack CAP_SYS_ADMIN. It cannot go with "
           "`--keepalive migrate`. See [interception](existing-servers.md#interception)."},
    Option{
        "", "keepalive", "WHAT", start, Section::own_sockets, "end, migrate, keep, http or auto", "auto",
        "what becomes of idle connections in a drain: end them, hand them off to the new worker (migrate; "
        "not with --intercept seccomp), keep them, or hand off those that speak HTTP/1.x and end the others "
        "(http); auto: end for a plugin, http for a program or script",
        "This is about an application that does not drain by itself. migrate is for plain HTTP/1.1 and "
        "other protocols without state in a connection. A connection in the middle of an HTTP/1.x answer "
        "is not idle. See [idle connections](existing-servers.md#idle-connections)."},
    Option{"", "keepalive-grace", "TIME", start, Section::own_sockets, "0ms to 576h", "1s",
           "how long a connection must have been idle to be ended or handed off"},
    Option{"", "no-await-listener", "", start, Section::own_sockets, "", "",
           "the application may never listen: a worker that does not listen is ready after --settle",
           "Without it, an application with another entry than `liveswap_main`, or without `--listen`, has "
           "to wait for connections on a listener first, or call `liveswap_ready`.",
           Takes::nothing},
    Option{"", "privileged-port", "PORT", start, Section::own_sockets, "1 to 1023", "",
           "a port that the master binds for workers of an unprivileged --user; repeatable",
           "The listener then belongs to the master, as those of `--listen` do."},

    Option{"", "canary", "AMOUNT", pace, Section::pace, "0 to --forks, or 0% to 100%", "0",
           "how many slots get the new code first, and then bake, such as 1 or 10%",
           "The other slots follow after the bake. 0: no canary."},
    Option{"", "bake", "TIME", pace, Section::pace, "0ms to 576h", "30s", "how long the canaries are judged",
           "By crashes, health probes and, where the application reports them, failed requests."},
    Option{"", "probation", "TIME", pace, Section::pace, "0ms to 576h, or none", "none",
           "how long after the last slot a failure still reverts the upgrade", "HEAD is written after it."},
    Option{
        "", "batch", "N", pace, Section::pace, "1 to 1024, or auto", "auto",
        "how many slots get their successor at the same time",
        "auto: the first successor is alone. When it is ready, at most a quarter of the slots get theirs at "
        "the same time, and at most one for each CPU loads its code or initialises: the others wait for "
        "the end of `--settle`."},
    Option{
        "", "surge", "AMOUNT", pace, Section::pace, "0 to 1024, or 0% to 1000%", "100%",
        "how many workers there may be beyond --forks during an upgrade, such as 2 or 50%; 0: old before new",
        "Workers that start or serve count, workers that drain do not. With 0, the old worker "
        "of a slot exits before its successor starts; the slot is not served in between."},
    Option{
        "", "flip", "", pace, Section::pace, "", "",
        "all successors are ready before the first of them serves: no mix of versions",
        "Then all begin to serve and the old workers drain at one moment. Needs `--surge` of 100% or more; "
        "cannot go with `--canary` or `--no-zero-downtime`.",
        Takes::nothing},
    Option{"", "no-flip", "", upgrade, Section::pace, "", "",
           "upgrade slot by slot, although the master was started with --flip", "", Takes::nothing},

    Option{"", "health", "[NAME=]PROBE", start, Section::health, "at most 64", "",
           "what new workers are probed with: connect, or \"GET /path [STATUS]\" (without STATUS: any 2xx), "
           "of the listener NAME (the first, if none is named); or \"run /command ARG...\"; repeatable",
           "Only listeners of `--listen` can be probed by connect and GET. `run` succeeds when the command "
           "exits with 0; its arguments are separated by spaces; there are no quotes and no shell."},
    Option{"", "health-interval", "TIME", start, Section::health, "1ms to 576h", "1s",
           "time from one round of probes to the next"},
    Option{"", "health-limit", "TIME", start, Section::health, "1ms to 576h", "2s",
           "how long one probe may take"},

    Option{"", "liveness", "PROBE", start, Section::liveness, "a probe, heartbeat, or none", "none",
           "whether each worker answers, asked by itself all the time; one that hangs is replaced: connect, "
           "\"GET /path [STATUS]\", \"run /command ARG...\" or heartbeat",
           "PROBE as for `--health`; `heartbeat` is for an application that calls `liveswap_heartbeat`. A "
           "command gets LIVESWAP_SLOT, LIVESWAP_GENERATION and LIVESWAP_PID. See [a worker "
           "hangs](../how-to/when-something-goes-wrong.md#a-worker-hangs)."},
    Option{"", "liveness-interval", "TIME", start, Section::liveness, "1ms to 576h", "5s",
           "time from one check of a worker that answers to the next"},
    Option{"", "liveness-limit", "TIME", start, Section::liveness, "1ms to 576h", "1s",
           "how long a worker may take to answer; then it is asked again"},
    Option{"", "liveness-failures", "N", start, Section::liveness, "1 to 1000", "3",
           "unanswered checks in a row until a worker counts as hung"},

    Option{"", "max-memory", "BYTES", start, Section::rollout,
           "1M or more (K, M, G, T: powers of 1024), or none", "none",
           "memory that all workers may take together, such as 2G: no more successors are started than fit",
           "Measured as PSS, so that shared pages count once."},
    Option{"", "max-draining", "AMOUNT", start, Section::rollout, "--forks to 1024, or 100% to 1000%", "800%",
           "how many workers may drain at once, such as 8 or 400% of --forks; beyond it those that have "
           "drained longest are ended by force",
           "Only with `--surge 0` or `--max-memory` does an upgrade wait for a worker that drains."},
    Option{"", "keep-releases", "N", start, Section::rollout, "1 to 1000", "10",
           "releases to keep in the store for rollback, beside those in use"},
    Option{"", "check-limit", "TIME", start | check, Section::rollout, "1ms to 576h", "30s",
           "how long loading a new release on trial may take",
           "This includes the library's self-test. No worker has been touched then."},
    Option{"", "settle", "TIME", start, Section::rollout, "0ms to less than --ready-limit", "100ms",
           "how long after its start a worker counts as ready that does not say so itself",
           "This holds where there is no listener that it has to wait on: see [when a worker is "
           "ready](existing-servers.md#when-a-worker-is-ready)."},
    Option{"", "ready-limit", "TIME", start, Section::rollout, "more than --settle, to 576h", "30s",
           "how long a worker may take from start to ready"},
    Option{"", "listener-wait", "TIME", start, Section::rollout, "0ms to 576h", "10s",
           "how long new code may take to bind a listener that the old code has; then the listener counts as "
           "dropped; at most half of --ready-limit",
           "See [when a worker is ready](existing-servers.md#when-a-worker-is-ready)."},
    Option{"", "drain-limit", "TIME", start, Section::rollout, "0ms to 576h, or none", "1m",
           "how long a worker may drain before it is ended by force",
           "The steps of force, `--term-grace` apart: the listeners are revoked, SIGTERM, SIGKILL."},
    Option{"", "term-grace", "TIME", start, Section::rollout, "0ms to 576h", "2s",
           "time between the steps of force"},
    Option{
        "", "orphan-wait", "TIME", start, Section::rollout, "0ms to 576h, none or forever", "1m",
        "how long workers of a killed master serve on and wait for the next one; then they drain and leave",
        "The next `liveswap start` takes them over: see [a killed master](../explanation/killed-master.md)."},
    Option{"", "pre-upgrade-limit", "TIME", start, Section::rollout, "1ms to 576h", "5m",
           "how long the pre-upgrade plugin may take"},
    Option{"", "backoff-min", "TIME", start, Section::rollout, "1ms to --backoff-max", "100ms",
           "how long the second of several respawns of a slot waits; the first does not wait"},
    Option{"", "backoff-max", "TIME", start, Section::rollout, "--backoff-min to 576h", "30s",
           "each further wait is twice as long, up to this"},
    Option{"", "backoff-reset", "TIME", start, Section::rollout, "0ms to 576h", "10s",
           "after a worker that has run for this time the next respawn does not wait"},

    Option{"", "env", "NAME=TEXT", start | check, Section::process, "", "",
           "an environment variable of the workers; repeatable",
           "Workers have the master's environment otherwise, without `LD_*` and `GLIBC_TUNABLES`."},
    Option{"", "working-directory", "DIR", start, Section::process, "path",
           "the directory that liveswap is started in", "working directory of the workers"},
    Option{"", "user", "USER", start, Section::process, "name or number", "the master's user",
           "user of the workers; needs root",
           "Without it, workers of a master that root started run as root: see "
           "[SECURITY.md](../../SECURITY.md)."},
    Option{"", "group", "GROUP", start, Section::process, "name or number", "the user's group",
           "group of the workers; needs root"},
    Option{"", "limit", "NAME=N", start, Section::process,
           "a number (K, M, G, T: powers of 1024), or unlimited", "",
           "a resource limit of the workers, such as nofile=65536 or core=unlimited; repeatable",
           "The names are `nofile`, `core`, `as`, `nproc`, `stack`, `memlock`, `cpu` (seconds) and `fsize`."},

    Option{"", "no-auth", "", start, Section::instance, "", "",
           "TCP control without token; loopback only, never as root", "", Takes::nothing},
    Option{"", "worker-host", "PATH", start | check, Section::instance, "path", "beside liveswap",
           "path of the program liveswap-worker"},
    Option{"", "log-file", "PATH", start, Section::instance, "path", "stderr; with --daemon STATE-DIR/log",
           "where the log goes", "It is opened for appending. SIGUSR1 reopens it."},

    Option{"v", "version", "", all_commands, Section::other, "", "",
           "print the version, as liveswap version does", "", Takes::nothing},
    Option{"h", "help", "", all_commands, Section::other, "", "",
           "print help, as liveswap help [COMMAND] does", "", Takes::nothing},
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
