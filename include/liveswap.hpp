// liveswap.hpp: embedding liveswap in a C++ program (C++17 and later; link with `pkg-config --libs
// liveswap`).
//
//   int main() { return liveswap::run("libapp.so").status; }
//
// run() is the master: it keeps the listening sockets, starts the workers, answers the control protocol and
// returns when it has been told to stop. Client talks to a running master from anywhere else.
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

// A place to listen on. `address` is "host:port" ("127.0.0.1:80", "[::1]:80", "*:80" for every address of
// both families, port 0: the kernel chooses), or "unix:/path". `name` is how the application finds it
// (liveswap_listener); empty: its number, counted from 0.
struct Listener {
  std::string name;
  std::string address;
};

// How the workers share a TCP listener: one SO_REUSEPORT socket per slot, or one socket for all.
enum class ListenMode { reuseport, shared };

// How the worker host sees what an application does with its sockets: by standing before the C library, or,
// for one that makes raw system calls (Go), also by a seccomp filter on bind() and listen().
enum class Intercept { libc, seccomp };

// What becomes of a connection on which nothing is under way, when an application that knows nothing of
// drains shall leave: it is ended, moved to the successor, or left to its client.
enum class Keepalive { end, migrate, keep };

// A number of workers, or a share of `forks` (rounded up, at least 1 unless it is 0 %).
struct Amount {
  unsigned value = 0;
  bool percent = false;
};

// A resource limit (setrlimit) that every worker gets; `name` as in `ulimit -a` documentation: "nofile",
// "core", "as", "nproc", "stack", "memlock", "cpu", "fsize". UINT64_MAX: unlimited.
struct ResourceLimit {
  std::string name;
  std::uint64_t value = 0;
};

// Every option of a master. Relative paths are meant from the working directory of the caller of run().
struct Options {
  // The options of the original, by their names.
  // The library that the first start runs. From then on the HEAD file names what was committed, and decides;
  // where the two differ the log, on_notice and the status say so; where the file is there and cannot be
  // read, run() fails. Empty: what the HEAD file names.
  std::string target;
  bool force_target = false;          // starts `target` whatever the HEAD file says
  std::uint16_t port = 3000;          // of the control server; names the instance
  std::string address = "127.0.0.1";  // of the control server
  unsigned forks = 2;                 // workers; 0: one for each CPU this process may use. At most 1024
  std::string head;                   // path of the HEAD file; empty: in the state directory
  std::string pre_upgrade;            // a plugin that runs before each upgrade; empty: none
  bool zero_downtime = true;          // false: an upgrade kills and respawns

  std::vector<Listener> listen;
  ListenMode listen_mode = ListenMode::reuseport;
  int backlog = 4096;                  // of the listeners; the kernel caps it at net.core.somaxconn
  std::vector<std::string> arguments;  // for the application (liveswap_argv)

  // For an application that opens its listeners itself: `listen` is not needed then.
  std::string entry =
      "liveswap_main";  // the function to run; "main": that of an ordinary program, built -shared
  Intercept intercept = Intercept::libc;
  Keepalive keepalive = Keepalive::end;
  Milliseconds keepalive_grace{1'000};  // how long such a connection must have been idle
  // Such an application (any other entry than liveswap_main, and all without `listen`) is ready when it waits
  // on a listener. false: it may do without one, and is then ready by `settle`.
  bool await_listener = true;
  std::vector<std::uint16_t>
      privileged_ports;  // that are bound for workers of a user who may not bind them himself

  unsigned batch = 1;  // slots that have a successor in `starting` at once
  Amount surge = {100,
                  true};  // workers beyond forks that may start or serve during an upgrade; 0: old before new
  // Workers that may drain at once, 100% or more: beyond it, those that have drained longest are ended by
  // force. No upgrade or rollback waits for a worker that drains, but for max_memory, and where surge is 0.
  Amount max_draining = {800, true};
  bool flip = false;           // all successors are ready before the first of them accepts a connection
  Amount canary = {0, false};  // so many slots first, which then bake before the others follow; 0: none. Not
                               // more than there are
  Milliseconds bake{30'000};   // how long the canaries are judged
  Milliseconds probation{0};   // after the last slot: a failure still reverts the upgrade; 0: none
  std::uint64_t max_memory = 0;  // bytes that all workers together may take (PSS); 0: no limit

  // Probes of the new workers, in bake and probation: "[NAME=]connect", "[NAME=]GET /path [STATUS]" (NAME: of
  // a listener, default the first; default STATUS: any 2xx) or "run /path/to/command ARG…".
  std::vector<std::string> health;
  Milliseconds health_interval{1'000};  // from one round of probes to the next
  Milliseconds health_limit{2'000};     // of one probe

  unsigned keep_releases = 10;  // snapshots kept in the state directory beside those in use, 1 … 1000

  // Limits. For drain_limit a negative value means none.
  Milliseconds settle{100};            // until a worker that never says so counts as ready
  Milliseconds ready_limit{30'000};    // from spawn to ready
  Milliseconds listener_wait{10'000};  // until a listener that new code has not bound is taken for dropped;
                                       // at most half of ready_limit
  Milliseconds drain_limit{60'000};    // from the order to drain until force
  Milliseconds term_grace{2'000};      // between the steps of force: listeners away, SIGTERM, SIGKILL
  Milliseconds hook_limit{300'000};    // of the pre-upgrade plugin
  Milliseconds check_limit{30'000};    // of loading a new release on trial before any worker is touched
  Milliseconds backoff_min{100};       // the second respawn of a slot that keeps dying waits so long, …
  Milliseconds backoff_max{30'000};    // … each further one twice as long, up to this
  Milliseconds backoff_reset{10'000};  // a worker that lived so long is no crash loop

  // What a worker is started with.
  std::map<std::string, std::string> environment;  // beside the master's own, less LD_* and GLIBC_TUNABLES
  std::string working_directory;                   // empty: the master's
  std::string user;                                // name or number; empty: the master's. Needs root
  std::string group;                               // empty: the user's own
  std::vector<ResourceLimit> limits;

  bool auth = true;  // false: TCP control needs no token. Loopback only, never as root
  // HEAD, token, locks. Empty: $XDG_STATE_HOME/liveswap/<port>; where that is not set, root's
  // /var/lib/liveswap/<port> (what an earlier version left in root's home is used while that is missing),
  // others' ~/.local/state/liveswap/<port>.
  std::string state_dir;
  // The control socket. Empty: $XDG_RUNTIME_DIR/liveswap; where that is not set, root's /run/liveswap,
  // others' /tmp/liveswap-<uid>.
  std::string runtime_dir;
  std::string worker_host;  // path of liveswap-worker; empty: looked for beside program and library
  // SIGTERM and SIGINT stop; SIGHUP upgrades, or stops when the terminal was closed; SIGUSR1 opens the log
  // file anew; SIGQUIT logs the state; SIGUSR2 is logged. A SIGHUP that is ignored when run() begins stays
  // ignored.
  bool handle_signals = true;
  // Make this process a child subreaper, which adopts what workers leave behind, and reap every child of it
  // that run() has not started. Only for a process that waits for no child of its own: its exit status would
  // be lost. SIGCHLD is handled then.
  bool reap_children = false;

  std::string log_file;  // empty: stderr. Opened for appending

  // Called on the thread of run(), before on_ready, with what the user should know of this start, one
  // sentence a call: that HEAD decided against `target`, say. All of it is in the log as well. Commands in it
  // (`liveswap upgrade …`) have the options that reach this master from this machine; so have those in the
  // outcome of run().
  std::function<void(const std::string&)> on_notice;

  // Called on the thread of run() once every worker is ready, before the first request for control is
  // answered.
  std::function<void()> on_ready;
};

// Exit statuses of the command line, and what run() and Client report.
enum Status : int {
  ok = 0,
  failed = 1,     // anything that has no number of its own
  usage = 2,      // options, configuration file
  no_master = 3,  // nobody listens on that port
  refused = 4,    // something else is under way, not allowed, already running, no file that can be tried, or
                  // the pre-upgrade plugin refused
  reverted = 5,   // the upgrade failed; the old code serves
  timed_out = 6,
};

struct Outcome {
  int status = ok;            // enum Status
  std::string text;           // why not, or what was done; for people
  std::uint64_t receipt = 0;  // of an upgrade or rollback: the number of its receipt; 0: it left none
};

// What one upgrade shall do otherwise than the options of the master say. Absent: as the options say.
struct UpgradeWishes {
  std::optional<Amount> canary;
  std::optional<Milliseconds> bake;
  std::optional<Milliseconds> probation;
  std::optional<unsigned> batch;
  std::optional<Amount> surge;
  std::optional<bool> flip;
  bool queue =
      false;  // while another upgrade runs: wait for it. A later one that waits takes this one's place
  bool detach = false;  // return when the upgrade is under way
};

// Runs a master on the calling thread until it is told to stop; blocks. Starts no thread. Safe beside other
// event loops and threads of the program; the signals of Options::handle_signals are handled while it runs,
// if asked for, and have their default action afterwards. While it runs, SIGPIPE, SIGXFSZ, SIGTTOU, SIGALRM,
// SIGVTALRM, SIGPROF, SIGPOLL, SIGPWR, SIGUSR1 and SIGUSR2 are ignored where they have their default action.
// Throws std::bad_alloc only; every other failure is in the outcome.
LIVESWAP_API Outcome run(const Options& options);
LIVESWAP_API Outcome run(const std::string& target);

// A client of a master on this machine (by its Unix socket, with the same runtime_dir) or, when that is not
// there, of one at address and port (by TCP, with the token). Each call connects, sends, waits for the answer
// and returns; blocking, not thread-safe, one object per thread. A process of root finds the masters of other
// users too; what changes something is `refused` there, unless runtime_dir says which one is meant.
class LIVESWAP_API Client {
 public:
  struct Where {
    std::uint16_t port = 3000;
    std::string address = "127.0.0.1";
    std::string runtime_dir;  // as in Options
    std::string state_dir;    // as in Options; where the token is
    std::string token;        // instead of the token file
    Milliseconds timeout{0};  // for the whole answer; 0: as long as it takes
  };
  // A line of the control protocol that arrives before the answer: one JSON object, as text.
  using Event = std::function<void(const std::string& json)>;

  Client() = default;
  explicit Client(Where where) : where_(std::move(where)) {}

  // `path` empty: what is at the current path now. Relative: from this process' working directory. Returns
  // when every old worker has gone.
  Outcome upgrade(const std::string& path = {}, const Event& event = {});
  Outcome upgrade(const std::string& path, const UpgradeWishes& wishes, const Event& event = {});
  // Back to an earlier release from the store: the number of a receipt in the history, at least 6 digits of a
  // release's id, or nothing: the release before the current one. Returns as upgrade() does.
  Outcome rollback(const std::string& to = {}, const Event& event = {});
  // Ends the bake or the probation that is under way as if it had passed; the upgrade goes on.
  Outcome promote();
  // Reverts the upgrade that is under way, now.
  Outcome abort();
  Outcome kill();
  Outcome die();
  Outcome stop();
  Outcome forks(unsigned count);  // 0: one for each CPU that the master may use
  Outcome message(const std::string& text);
  // On success `text` is the JSON object that docs/reference/control-protocol.md describes.
  Outcome status();
  // On success `text` is a JSON array of the newest receipts in short, oldest first, or one receipt as a JSON
  // object, both as docs/reference/receipt.md describes them. No number: the newest. How many receipts are
  // left out of the array, and why, is in the whole answer, which request() gives.
  Outcome history(unsigned newest = 20);
  Outcome receipt(std::optional<std::uint64_t> number = {});
  // Any command of docs/reference/control-protocol.md, as one JSON object without a newline; on success
  // `text` is the whole answer.
  Outcome request(const std::string& json, const Event& event = {});

 private:
  Where where_;
};

// What can be known of a library before it serves anybody. One line of a report.
struct CheckFinding {
  enum class Level { fine, warning, error };
  Level level = Level::fine;
  std::string kind;    // a word for programs: "missing_symbol", "static_tls", … (docs/reference/check.md)
  std::string text;    // what was found, and what was expected; for people
  std::string advice;  // what to do; may be empty
};

struct CheckOptions {
  Milliseconds limit{30'000};                           // of loading and self-test; 1 ms or more
  std::string entry = "liveswap_main";                  // as in Options
  std::vector<std::string> arguments = {};              // liveswap_argv of the self-test
  std::map<std::string, std::string> environment = {};  // as in Options
  std::string worker_host = {};                         // as in Options
};

struct CheckReport {
  std::string path;                    // absolute
  std::vector<CheckFinding> findings;  // never empty; errors first, then warnings
  std::string output;  // what the library wrote and logged meanwhile: the last 16 KiB, as it was
  std::size_t count(CheckFinding::Level level) const {
    std::size_t found = 0;
    for (const auto& finding : findings) found += finding.level == level;
    return found;
  }
};

// Checks a library as an upgrade to it would, needs no master and touches none: lists everything that the
// dynamic loader misses, looks for what is likely to bite, then loads it in a process of its own and runs its
// self-test there. An upgrade would be refused when there is an error. Blocks up to the limit and a few
// seconds more; relative paths are meant from the working directory.
LIVESWAP_API CheckReport check(const std::string& path, const CheckOptions& options = {});

}  // namespace liveswap
