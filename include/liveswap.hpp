// liveswap.hpp: liveswap in a C++ program (C++17 or later; link with `pkg-config --libs liveswap`).
//
//   int main() { return liveswap::run("libapp.so").status; }
//
// run() is the master: it holds the listening sockets, starts the workers, serves the control protocol and
// returns after a stop command. Client controls a running master from any other process.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#define LIVESWAP_API __attribute__((visibility("default")))

namespace liveswap {

using Milliseconds = std::chrono::milliseconds;

// A listening socket. `address`: "unix:/path" or "host:port", such as "127.0.0.1:80" or "[::1]:80". "*:80"
// means all IPv4 and IPv6 addresses; for port 0 the kernel chooses a port. `name`: for liveswap_listener();
// empty: the index of the listener, from 0.
struct Listener {
  std::string name;
  std::string address;
};

// A TCP listener has one SO_REUSEPORT socket for each slot, or one socket shared by all workers.
enum class ListenMode { reuseport, shared };

// How the worker host observes the socket calls of an application: by interposing functions of libc, or, for
// programs that make raw system calls (Go), also by a seccomp filter on bind() and listen().
enum class Intercept { libc, seccomp };

// During a drain, idle connections of an application that does not use the plugin contract are ended, handed
// off to the successor (migrate), or kept. http: those that were seen to speak plain HTTP/1.x are handed off,
// others are ended. automatic: end for a plugin, http for a program or script.
enum class Keepalive { end, migrate, keep, http, automatic };

// How scripts with a certain ending are run and checked. The script's path follows the last word. `run`: a
// program, by its absolute path or a name in the PATH of the workers, and arguments; empty: the usual one.
// `check`: a command that exits with 0 if the script is well-formed; empty: the usual one, if there is one.
struct Runtime {
  std::vector<std::string> run;
  std::vector<std::string> check;
};

// A number of workers, or a percentage of `forks`: rounded up, at least 1 unless 0 %.
struct Amount {
  unsigned value = 0;
  bool percent = false;
  // The number of workers that this is of `forks`.
  unsigned of(unsigned forks) const {
    return percent ? static_cast<unsigned>((std::uint64_t{forks} * value + 99) / 100) : value;
  }
};

// A resource limit (setrlimit) for each worker. `name`: "nofile", "core", "as", "nproc", "stack", "memlock",
// "cpu" or "fsize". UINT64_MAX: unlimited.
struct ResourceLimit {
  std::string name;
  std::uint64_t value = 0;
};

// The options of a master. Relative paths are resolved against the working directory of the caller of run().
struct Options {
  // The library for the first start. Later starts run the committed release from the HEAD file. If HEAD and
  // `target` differ, the log, on_notice and the status say so. If HEAD exists but cannot be read, run()
  // fails. Empty: what HEAD names.
  std::string target;
  bool force_target = false;          // start `target` even if HEAD names another release
  std::uint16_t port = 3000;          // of the control server; identifies the instance
  std::string address = "127.0.0.1";  // of the control server
  unsigned forks = 2;                 // workers, at most 1024; 0: one for each CPU in the affinity mask
  std::string head;                   // path of the HEAD file; empty: in the state directory
  std::string pre_upgrade;            // plugin that runs before each upgrade; empty: none
  bool zero_downtime = true;          // false: an upgrade kills the old workers first

  std::vector<Listener> listen;
  ListenMode listen_mode = ListenMode::reuseport;
  int backlog = 4096;                  // of the listeners; capped at net.core.somaxconn
  std::vector<std::string> arguments;  // for the application (liveswap_argv)

  // A release is a plugin (a shared library), a program, a script, or a directory with one of them.
  std::string kind;                         // "plugin", "program" or "script"; empty: what the content tells
  std::string start_file;                   // relative path of what starts a directory; empty: found there
  Runtime runtime;                          // of the script, whatever its ending
  std::map<std::string, Runtime> runtimes;  // by ending, without the dot: further ones, or others than usual

  // For an application that opens its listeners itself, `listen` may be empty.
  std::string entry = "liveswap_main";  // or "main" for a program linked -shared
  Intercept intercept = Intercept::libc;
  Keepalive keepalive = Keepalive::automatic;
  Milliseconds keepalive_grace{1'000};  // idle time before a connection is ended or handed off
  // Readiness of an application with another entry than liveswap_main, or without `listen`. true: ready when
  // it waits for connections on a listener, or calls liveswap_ready(). false: also ready after `settle`.
  bool await_listener = true;
  std::vector<std::uint16_t> privileged_ports;  // bound by the master for unprivileged workers

  // Number of slots whose successors start at the same time. 0: the first alone, then at most a quarter of
  // the slots, of which at most one for each CPU still loads its code or initialises.
  unsigned batch = 0;
  Amount surge = {100, true};  // additional workers during an upgrade; 0: stop old first
  // How many workers may drain at the same time, 100% or more. If there are more, the master ends by force
  // those that have drained longest. Upgrades wait for draining workers only at max_memory, or if surge is 0.
  Amount max_draining = {800, true};
  bool flip = false;             // no successor accepts until all are ready
  Amount canary = {0, false};    // slots upgraded first, then judged; 0: none
  Milliseconds bake{30'000};     // how long the canaries are judged
  Milliseconds probation{0};     // after the last slot: a failure still reverts; 0: none
  std::uint64_t max_memory = 0;  // bytes (PSS) for all workers together; 0: no limit

  // Probes of new workers during bake and probation: "[NAME=]connect", "[NAME=]GET /path [STATUS]" (NAME: a
  // listener, default the first; STATUS: default any 2xx) or "run /path/to/command ARG…".
  std::vector<std::string> health;
  Milliseconds health_interval{1'000};  // between two rounds of probes
  Milliseconds health_limit{2'000};     // for one probe

  // Whether each serving worker answers, asked by itself all the time: a probe as in `health`, or "heartbeat"
  // (liveswap_heartbeat). A worker that hangs is replaced. Empty: off.
  std::string liveness;
  Milliseconds liveness_interval{5'000};  // between two checks of a worker that answers
  Milliseconds liveness_limit{1'000};     // for one check; a worker that does not answer is asked again then
  unsigned liveness_failures = 3;  // unanswered checks in a row until a worker counts as hung, 1 … 1000

  unsigned keep_releases = 10;  // releases in the store besides those in use, 1 … 1000

  // Time limits. A negative drain_limit means none.
  Milliseconds settle{100};            // until a worker that does not report readiness counts as ready
  Milliseconds ready_limit{30'000};    // from start to ready
  Milliseconds listener_wait{10'000};  // until an unbound listener counts as dropped by the new code; at most
                                       // half of ready_limit
  Milliseconds drain_limit{60'000};    // from the start of a drain until force
  Milliseconds term_grace{2'000};      // between the steps of force: revoke, SIGTERM, SIGKILL
  Milliseconds pre_upgrade_limit{300'000};  // for the pre-upgrade plugin
  // If the master is killed, or crashes: how long its workers go on serving and wait for the next run() of
  // the instance, which takes them over. 0: they drain and leave at once. Negative: without a limit.
  Milliseconds orphan_wait{60'000};
  Milliseconds check_limit{30'000};    // for the trial load of a new release
  Milliseconds backoff_min{100};       // delay of a failing slot's second restart; doubles each time
  Milliseconds backoff_max{30'000};    // maximum of that delay
  Milliseconds backoff_reset{10'000};  // a worker that ran this long resets the delay

  // The process attributes of a worker.
  std::map<std::string, std::string> environment;  // added to the master's, without LD_* and GLIBC_TUNABLES
  std::string working_directory;                   // empty: the master's
  std::string user;                                // name or number; needs root. Empty: the master's
  std::string group;                               // empty: the primary group of `user`
  std::vector<ResourceLimit> limits;

  bool auth = true;  // false: control by TCP needs no token. Loopback only, not as root
  // Directory of HEAD, token and locks. Empty: $XDG_STATE_HOME/liveswap/<port>. Without that variable:
  // /var/lib/liveswap/<port> for root (or, while missing, the directory of an older version in root's home),
  // ~/.local/state/liveswap/<port> for others.
  std::string state_dir;
  // Directory of the control socket. Empty: $XDG_RUNTIME_DIR/liveswap. Without that variable: /run/liveswap
  // for root, /tmp/liveswap-<uid> for others.
  std::string runtime_dir;
  std::string worker_host;  // path of liveswap-worker; empty: near the program and the library
  // SIGTERM and SIGINT stop the master; SIGHUP upgrades, or stops if the terminal was closed; SIGUSR1 reopens
  // the log file; SIGQUIT logs the state; SIGUSR2 re-executes the program. A SIGHUP ignored at the start of
  // run() stays ignored.
  bool handle_signals = true;
  // Makes this process a child subreaper, which adopts orphans of workers, and reaps every child. Only for
  // programs that wait for no children of their own: those exit statuses would be lost. Handles SIGCHLD.
  bool reap_children = false;

  // This process is the main process of a service, and nothing else in the program speaks to the service
  // manager: tells $NOTIFY_SOCKET the state (Type=notify), takes the sockets of $LISTEN_FDS as listeners, and
  // has the manager keep the listening sockets, which then stay open when run() returns. Removes LISTEN_*
  // from the environment, so no other thread may use that during the call of run(). See
  // docs/reference/service-manager.md.
  bool service = false;

  // The words with which this program was started, for `liveswap reexec` and SIGUSR2: both execute the
  // program anew in this process, with these words, while the workers go on. Its main() must begin with
  // resume(). Empty: both are refused.
  std::vector<std::string> command_line;

  std::string log_file;  // opened for appending; empty: stderr

  // The file that these options are from, for `liveswap reload` and SIGHUP, which read it again. Absolute.
  // Empty: both do without.
  std::string config_file;
  // Makes the options of a start from the text of `config_file`, with defaults for what it does not say.
  // Returns the mistakes, one a line, or nothing. Called on the thread of run(); must neither block nor read
  // the file.
  std::function<std::string(const std::string& text, Options& options)> read_config;

  // Called on the thread of run(), before on_ready, once for each sentence about this start that the user
  // should know, for example that HEAD overrides `target`. The log has all of them. Commands in these
  // sentences (`liveswap upgrade …`), and in the outcome of run(), include the options that reach this
  // master.
  std::function<void(const std::string&)> on_notice;

  // Called on the thread of run() when every worker is ready, before the first control command is answered.
  std::function<void()> on_ready;
};

// Exit statuses of the command line; results of run() and Client.
enum Status : int {
  ok = 0,
  failed = 1,     // any other failure
  usage = 2,      // invalid options or configuration file
  no_master = 3,  // no master listens on that port
  refused = 4,    // another upgrade runs, not permitted, already running, file not usable, or the pre-upgrade
                  // plugin refused
  reverted = 5,   // the upgrade failed; the old code serves
  timed_out = 6,
};

struct Outcome {
  int status = ok;            // enum Status
  std::string text;           // what was done, or why not; for people
  std::uint64_t receipt = 0;  // receipt number of an upgrade or rollback; 0: none
};

// Options of the master that one upgrade overrides. Absent: not overridden.
struct UpgradeWishes {
  std::optional<Amount> canary;
  std::optional<Milliseconds> bake;
  std::optional<Milliseconds> probation;
  std::optional<unsigned> batch;  // 0: automatic
  std::optional<Amount> surge;
  std::optional<bool> flip;
  bool queue = false;   // wait for a running upgrade; replaces one that waits
  bool detach = false;  // return when the upgrade has started
};

// Runs a master on the calling thread; blocks until the master stops. Starts no threads. Coexists with other
// threads and event loops. The signals of Options::handle_signals are handled only during the call and have
// their default action afterwards. During the call, SIGPIPE, SIGXFSZ, SIGTTOU, SIGALRM, SIGVTALRM, SIGPROF,
// SIGXCPU, SIGPOLL, SIGPWR, SIGSTKFLT, SIGUSR1, SIGUSR2 and the real-time signals are ignored unless the
// program handles them. Throws only std::bad_alloc; other failures are in the outcome.
LIVESWAP_API Outcome run(const Options& options);
LIVESWAP_API Outcome run(const std::string& target);

// Call first in main() of a program that sets Options::command_line, with the words of its command line. Goes
// on as the master of this process if the program was executed in place of another one by `liveswap reexec`,
// and returns what run() would have returned. The same for `--read-state N`, with which a master has a
// program try in a child process whether it can read the master's state. nullopt: neither; go on as usual.
// `complete` adds to the options what no state contains: functions.
LIVESWAP_API std::optional<Outcome> resume(const std::vector<std::string>& command_line,
                                           const std::function<void(Options&)>& complete = {});

// Controls a master: on this machine by its Unix socket in runtime_dir, otherwise by TCP with the token. Each
// call connects, sends one command and blocks until the answer. Not thread-safe: one object for each thread.
// Root also finds masters of other users; commands that change such a master are `refused` unless runtime_dir
// is set.
class LIVESWAP_API Client {
 public:
  struct Where {
    std::uint16_t port = 3000;
    std::string address = "127.0.0.1";
    std::string runtime_dir;  // as in Options
    std::string state_dir;    // as in Options; contains the token
    std::string token;        // overrides the token file
    Milliseconds timeout{0};  // for the whole call; 0: none
  };
  // Receives each event before the answer: one JSON object as text.
  using Event = std::function<void(const std::string& json)>;

  Client() = default;
  explicit Client(Where where) : where_(std::move(where)) {}

  // `path`: relative to the working directory of this process; empty: the path of the current release, read
  // anew. Returns when every old worker has exited.
  Outcome upgrade(const std::string& path = {}, const Event& event = {});
  Outcome upgrade(const std::string& path, const UpgradeWishes& wishes, const Event& event = {});
  // Goes back to a release in the store. `to`: a receipt number, at least 6 digits of a release id, or empty
  // for the previous release. Returns as upgrade() does.
  Outcome rollback(const std::string& to = {}, const Event& event = {});
  // Ends a running bake or probation as passed; the upgrade continues.
  Outcome promote();
  // Reverts the running upgrade immediately.
  Outcome abort();
  // Kills all workers and starts new ones. Connections are lost. Returns when every slot has a ready worker.
  Outcome kill();
  // Kills all workers and ends the master. Connections are lost.
  Outcome die();
  // Drains all workers, then ends the master. Returns when every worker has exited.
  Outcome stop();
  // Changes the number of workers; 0: one for each CPU of the master. Returns when new slots are ready, or
  // when the workers of removed slots have drained.
  Outcome forks(unsigned count);
  // Reads the configuration file again and applies it; `dry_run`: only tells what would be done. Returns when
  // a new generation serves and every old worker has exited. On success `text` says what was applied.
  Outcome reload(bool dry_run = false, const Event& event = {});
  // Replaces the master's program by another one in the same process: `program`, or if that is empty, the one
  // that is now at the path of the running one. Workers, listeners and clients are not affected. `wait`: how
  // long the master waits for an upgrade that is under way, and the like. Returns when the new program goes
  // on.
  Outcome reexec(const std::string& program = {}, Milliseconds wait = Milliseconds{60'000});
  // Sends a text to every worker. The status is `failed` unless all of them took it.
  Outcome message(const std::string& text);
  // On success `text` is the status object of docs/reference/control-protocol.md.
  Outcome status();
  // On success `text` is JSON as in docs/reference/receipt.md: an array of short receipts, oldest first, or
  // one receipt (no number: the newest). How many receipts the array leaves out, and why, is in the whole
  // answer: use request().
  Outcome history(unsigned newest = 20);
  Outcome receipt(std::optional<std::uint64_t> number = {});
  // Sends any command of docs/reference/control-protocol.md: one JSON object without a newline. On success
  // `text` is the whole answer.
  Outcome request(const std::string& json, const Event& event = {});

 private:
  Where where_;
};

// One finding of check().
struct CheckFinding {
  enum class Level { fine, warning, error };
  Level level = Level::fine;
  std::string kind;    // for programs: "missing_symbol", "static_tls", … (docs/reference/check.md)
  std::string text;    // what was found and what was expected; for people
  std::string advice;  // what to do; may be empty
};

struct CheckOptions {
  Milliseconds limit{30'000};               // for trial load and self-test; at least 1 ms
  std::string entry = "liveswap_main";      // as in Options
  std::vector<std::string> arguments = {};  // liveswap_argv of the self-test
  std::string kind = {};                    // these as in Options
  std::string start_file = {};
  Runtime runtime = {};
  std::map<std::string, std::string> environment = {};  // as in Options
  std::string worker_host = {};                         // as in Options
};

struct CheckReport {
  std::string path;                    // absolute
  std::vector<CheckFinding> findings;  // never empty; errors first, then warnings
  std::string output;                  // output and log of the library: the last 16 KiB, unchanged
  std::size_t count(CheckFinding::Level level) const {
    std::size_t found = 0;
    for (const auto& finding : findings) found += finding.level == level;
    return found;
  }
};

// Checks whether an upgrade to a library would succeed, without a master: lists what the dynamic linker
// cannot resolve, looks for common problems, then loads the library in a process of its own and runs its
// self-test. A finding of level error would stop an upgrade. Blocks for the limit plus a few seconds at most.
// Relative paths: from the working directory.
LIVESWAP_API CheckReport check(const std::string& path, const CheckOptions& options = {});

}  // namespace liveswap
