#include <fmt/format.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uv.h>

#include <cerrno>
#include <filesystem>
#include <string_view>

#include "base/descriptors.hpp"
#include "base/file.hpp"
#include "base/ignored_signals.hpp"
#include "base/log.hpp"
#include "base/log_texts.hpp"
#include "config/validate.hpp"
#include "liveswap.hpp"
#include "master/master.hpp"
#include "master/setup.hpp"
#include "protocol/command_line.hpp"
#include "protocol/instance.hpp"
#include "release/head.hpp"
#include "rollout/start.hpp"
#include "spawn/identity.hpp"
#include "spawn/obstacle.hpp"
#include "spawn/worker_host.hpp"

namespace liveswap {
namespace {

using master::InstanceLock;
using master::Listeners;

// The first uv_loop_init() of a process makes a pipe for signals, and libuv calls abort() if that fails.
// While this object exists, SIGABRT ends the process with an error message and the exit status of a failed
// start.
class EndInWords {
 public:
  EndInWords() {
    struct sigaction end {};
    end.sa_handler = [](int) {
      constexpr std::string_view text =
          "liveswap: cannot make an event loop: no descriptor or no memory is left for libuv\n";
      [[maybe_unused]] const auto written = ::write(log::descriptor(), text.data(), text.size());
      ::_exit(failed);
    };
    ::sigaction(SIGABRT, &end, &before_);
  }
  EndInWords(const EndInWords&) = delete;
  EndInWords& operator=(const EndInWords&) = delete;
  ~EndInWords() { ::sigaction(SIGABRT, &before_, nullptr); }

 private:
  struct sigaction before_ {};
};

int init_loop(uv_loop_t& loop) {
  const EndInWords end;
  return uv_loop_init(&loop);
}

// The master's own loop. The default loop may be in use by a program that embeds liveswap.
class Loop {
 public:
  Loop() : usable_(init_loop(loop_) == 0) {}
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;
  ~Loop() {
    if (!usable_) return;
    // Runs the close callbacks of handles that were closed before.
    uv_run(&loop_, UV_RUN_DEFAULT);
    uv_loop_close(&loop_);
  }
  bool usable() const { return usable_; }
  uv_loop_t& get() { return loop_; }

 private:
  uv_loop_t loop_;
  bool usable_;
};

Outcome refusal(const InstanceLock::Refusal& refused_by) {
  switch (refused_by.failure) {
    case InstanceLock::Failure::refused: return {refused, refused_by.text};
    case InstanceLock::Failure::timed_out: return {timed_out, refused_by.text};
    case InstanceLock::Failure::failed: break;
  }
  return {failed, refused_by.text};
}

// How long workers of a dead master can live: the drain limit, then three steps of force, a `term_grace`
// apart (worker/retire/orphan.c). nullopt: no limit.
std::optional<Milliseconds> patience(const Options& options) {
  if (options.drain_limit.count() < 0) return std::nullopt;
  return options.drain_limit + 3 * options.term_grace;
}

void notify(const Options& options, const std::string& text) {
  if (text.empty()) return;
  log::warning("{}", text);
  if (options.on_notice) options.on_notice(text);
}

rollout::Surroundings look_around(const Options& options) {
  rollout::Surroundings found;
  found.target = options.target;
  found.force_target = options.force_target;
  if (const auto committed = release::read_committed(options.head, options.state_dir)) {
    found.head = rollout::Release{committed->path, committed->id};
    found.stored = release::Store(options.state_dir).has(committed->id, committed->path);
    found.readable = ::access(committed->path.c_str(), R_OK) == 0;
  } else {
    found.head_trouble = committed.error().text;
    struct stat info {};
    // lstat(), so that a dangling symbolic link counts as damaged, not as missing.
    found.head_missing = ::lstat(options.head.c_str(), &info) != 0 && errno == ENOENT;
    found.recorded = release::newest_record(options.state_dir).path;
  }
  return found;
}

tl::expected<rollout::Release, Outcome> find_start(const Options& options) {
  if (options.target.find('\n') != std::string::npos)
    return tl::unexpected<Outcome>({usage, "the path of the library contains a line break"});
  const auto chosen = rollout::choose_start(look_around(options));
  if (const auto* none = std::get_if<rollout::NoStart>(&chosen))
    return tl::unexpected<Outcome>({none->misuse ? usage : failed, none->text});
  const auto& start = std::get<rollout::Start>(chosen);
  notify(options, start.remark);
  return start.release;
}

// How to start liveswap-store, which lies beside the worker host. Runs as the master's user. Writes its
// output to the master's log, and its answer to the channel.
spawn::Request store_request(const std::string& worker_host, int output) {
  spawn::Request request;
  request.program = std::filesystem::path(worker_host).parent_path() / "liveswap-store";
  request.arguments = {"liveswap-store"};
  request.descriptors = {-1, -1, output < 0 ? STDERR_FILENO : output, -1};
  return request;
}

// What would keep every worker from starting; nullopt: nothing. Checked before the start.
std::optional<std::string> obstacle_of(const Options& options, const std::string& host,
                                       const std::optional<spawn::Identity>& identity) {
  const std::string releases = options.state_dir + "/releases";
  const bool there = ::access(releases.c_str(), F_OK) == 0;
  if (auto found = spawn::obstacle(there ? releases : options.state_dir, identity, "--state-dir"))
    return found;
  return spawn::obstacle(host, identity, "--worker-host");
}

Outcome run_settled(const Options& options) {
  const auto give_up = [](const Error& error) { return Outcome{failed, error.text}; };
  if (!options.log_file.empty())
    if (auto opened = log::open_file(options.log_file); !opened) return give_up(opened.error());
  const ManyDescriptors many;
  if (!options.pre_upgrade.empty() && ::access(options.pre_upgrade.c_str(), R_OK) != 0)
    return {usage, os_error("read the pre-upgrade plugin", options.pre_upgrade, errno).text};
  const auto host = spawn::find_worker_host(options.worker_host);
  if (!host) return give_up(host.error());
  const int output = options.log_file.empty() ? -1 : log::descriptor();
  const auto store = store_request(*host, output);
  if (::access(store.program.c_str(), X_OK) != 0)
    return give_up(os_error("execute the release store beside the worker host", store.program, errno));
  const auto identity = spawn::find_identity(options.user, options.group);
  if (!identity) return {usage, identity.error().text};
  if (::geteuid() == 0 && !*identity)
    log::warning(
        "the workers run as root: hostile code in them can stop the master and change what it has stored; "
        "`--user` "
        "runs them as another user");
  if (auto made = ensure_private_directory(options.state_dir, 0022); !made) return give_up(made.error());
  // Workers of another user must be able to enter the directory to reach the store. Private files in it have
  // modes of their own.
  if (*identity && ::chmod(options.state_dir.c_str(), 0711) != 0)
    return give_up(os_error("let the workers through", options.state_dir, errno));
  if (const auto found = obstacle_of(options, *host, *identity)) return {failed, *found};
  auto lock =
      InstanceLock::acquire({options.port, options.state_dir, options.runtime_dir}, patience(options));
  if (!lock) return refusal(lock.error());
  if (options.state_dir == protocol::earlier_state_dir(options.port))
    notify(options,
           fmt::format("root's state is in {0}, where earlier versions had it; {1} is the place now: stop, "
                       "`mkdir -p /var/lib/liveswap && mv {0} {1}`, start",
                       options.state_dir, protocol::root_state_dir(options.port)));
  const auto start = find_start(options);
  if (!start) return start.error();
  std::vector<Listener> listen = options.listen;
  auto passed = options.service ? master::PassedListeners::take(listen) : Result<master::PassedListeners>();
  if (!passed) return give_up(passed.error());
  auto listeners =
      Listeners::open(listen, options.listen_mode, options.backlog, options.forks, std::move(*passed));
  if (!listeners) return give_up(listeners.error());

  spawn::Request request;
  request.program = *host;
  request.environment = spawn::child_environment(options.environment);
  request.descriptors = {-1, output < 0 ? STDOUT_FILENO : output, output < 0 ? STDERR_FILENO : output, -1};
  request.working_directory = options.working_directory;
  request.home = current_directory();
  request.identity = *identity;
  request.limits = {{RLIMIT_NOFILE, many.before()}};
  for (const auto& limit : master::resource_limits(options.limits)) request.limits.push_back(limit);

  const auto token = master::make_token(options.state_dir + "/token");
  if (!token) return give_up(token.error());
  if (options.auth && !token->written)
    log::warning(
        "{}; commands over TCP are refused until the next start, those through the control socket are not",
        token->written.error().text);
  Loop loop;
  if (!loop.usable()) return {failed, "cannot make an event loop"};
  master::Master master(loop.get(), options, std::move(*lock), std::move(*listeners), std::move(request),
                        store);
  if (auto opened = master.open_control(options.auth ? token->text : ""); !opened)
    return give_up(opened.error());
  return master.run(*start);
}

// The options with which a client on this machine reaches this master, for commands in messages. Not the
// address: such a client uses the control socket. Directories that a client finds without an option are left
// out.
std::string options_for_client(const Options& options) {
  const auto usual = protocol::locate_instance(options.port, "", "");
  return protocol::port_option(options.port) +
         protocol::directory_options(options.state_dir == usual.state_dir ? "" : options.state_dir,
                                     options.runtime_dir == usual.runtime_dir ? "" : options.runtime_dir);
}

}  // namespace

Outcome run(const Options& options) {
  fill_standard_descriptors();
  const IgnoredSignals ignored;
  auto valid = config::validate(options);
  if (!valid) return {usage, valid.error().text};
  // Validates again, now that `forks auto` is a number.
  valid = config::validate(master::settle_options(std::move(*valid)));
  if (!valid) return {usage, valid.error().text};
  const auto complete = [client = options_for_client(*valid)](std::string_view text) {
    return protocol::with_options(text, client);
  };
  log::complete_with(complete);
  if (const auto notice = valid->on_notice)
    valid->on_notice = [complete, notice](const std::string& text) { notice(complete(text)); };
  Outcome outcome = run_settled(*valid);
  outcome.text = complete(outcome.text);
  return outcome;
}

Outcome run(const std::string& target) {
  Options options;
  options.target = target;
  return run(options);
}

}  // namespace liveswap
