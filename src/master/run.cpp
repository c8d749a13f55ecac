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
#include "config/reload.hpp"
#include "config/validate.hpp"
#include "liveswap.hpp"
#include "master/keeping/orphans.hpp"
#include "master/master.hpp"
#include "master/programs.hpp"
#include "master/setup.hpp"
#include "master/uv/own_loop.hpp"
#include "protocol/command_line.hpp"
#include "protocol/instance.hpp"
#include "protocol/keeper.hpp"
#include "release/head.hpp"
#include "rollout/start.hpp"
#include "spawn/identity.hpp"
#include "spawn/obstacle.hpp"
#include "spawn/worker_host.hpp"

namespace liveswap {
namespace {

using master::InstanceLock;
using master::Listeners;

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

// What would keep every worker from starting; nullopt: nothing. Checked before the start.
std::optional<std::string> obstacle_of(const Options& options, const std::string& host,
                                       const std::optional<spawn::Identity>& identity) {
  const std::string releases = options.state_dir + "/releases";
  const bool there = ::access(releases.c_str(), F_OK) == 0;
  if (auto found = spawn::obstacle(there ? releases : options.state_dir, identity, "--state-dir"))
    return found;
  return spawn::obstacle(host, identity, "--worker-host");
}

Result<master::Token> new_token(const Options& options) {
  auto token = master::make_token(options.state_dir + "/token");
  if (token && options.auth && !token->written)
    log::warning(
        "{}; commands over TCP are refused until the next start, those through the control socket are not",
        token->written.error().text);
  return token;
}

// What a killed master has left, if this one can go on with it. What is damaged, or of another instance,
// drains. What belongs to another user is left alone, and the start is refused.
tl::expected<std::optional<master::Orphans>, Outcome> look_for_orphans(const Options& options) {
  auto link = protocol::connect_keeper(options.state_dir);
  if (!link)
    return tl::unexpected<Outcome>(
        {refused,
         fmt::format(
             "workers of a killed master may serve on, but this start cannot take them over, and leaves "
             "them alone: {}. Start or stop that instance as its user, or choose another --state-dir",
             link.error().text)});
  if (!*link) return std::nullopt;
  auto found = master::take_orphans(std::move(*link), options);
  if (found) return std::move(*found);
  notify(options,
         "the workers of a killed master cannot be taken over, so they drain: " + found.error().text);
  master::let_orphans_leave(options);
  return std::nullopt;
}

struct Surrounding {
  const Options& options;
  const master::Programs& programs;
  rlimit files;
};

// The options of the former master, which its workers have; with those of this start that concern only a new
// process. The rest is applied later (Master::take_over()).
Options options_to_begin_with(const Options& options, const Options& former) {
  Options first = options;
  auto plan = config::plan_reload(options, former);
  std::erase_if(plan.changes, [](const auto& one) {
    return one.applies == config::Applies::restart || one.key == "log-file" || one.key == "target" ||
           one.key == "force-target";
  });
  config::take_changes(plan, former, first);
  return first;
}

// The outputs of workers go to the log's descriptor; a log at the same path goes on there.
void go_on_with_log(const master::state::MasterState& state, const Options& options) {
  if (state.log.number >= 0 && state.options.log_file == options.log_file)
    log::adopt_file(state.log.number, options.log_file);
}

Outcome take_over(const Surrounding& here, InstanceLock lock, master::Orphans orphans) {
  const auto& options = here.options;
  // The sockets that the service manager passes are those that the keeper has, too.
  std::vector<Listener> listen = orphans.state.options.listen;
  if (options.service)
    if (const auto passed = master::PassedListeners::take(listen); !passed)
      log::warning("{}", passed.error().text);
  go_on_with_log(orphans.state, options);
  const auto found = look_around(options);
  const auto start = rollout::choose_start(found);
  const auto* chosen = std::get_if<rollout::Start>(&start);
  if (chosen) notify(options, chosen->remark);
  const auto token = new_token(options);
  if (!token) return {failed, token.error().text};
  master::OwnLoop loop;
  if (!loop.usable()) return {failed, "cannot make an event loop"};
  Options first = options_to_begin_with(options, orphans.state.options);
  // Again: with the former user, and the log as it is now.
  const auto programs = master::find_programs(first, first.log_file.empty() ? -1 : log::descriptor());
  if (!programs) return programs.error();
  master::Master master(loop.get(), first, std::move(lock), Listeners::adopt(orphans.state.listeners),
                        master::worker_request(first, *programs, here.files), programs->store, here.files);
  master.keep_with(here.programs.keeper);
  if (auto opened = master.open_control(options.auth ? token->text : ""); !opened) {
    master.abandon_listeners();
    return {failed, opened.error().text};
  }
  return master.take_over({orphans.state, std::move(orphans.keeper), found.head,
                           chosen ? chosen->release : rollout::Release{}, options, here.programs.identity});
}

Outcome run_settled(const Options& options) {
  const auto give_up = [](const Error& error) { return Outcome{failed, error.text}; };
  if (!options.log_file.empty())
    if (auto opened = log::open_file(options.log_file); !opened) return give_up(opened.error());
  const ManyDescriptors many;
  if (!options.pre_upgrade.empty() && ::access(options.pre_upgrade.c_str(), R_OK) != 0)
    return {usage, os_error("read the pre-upgrade plugin", options.pre_upgrade, errno).text};
  const auto programs = master::find_programs(options, options.log_file.empty() ? -1 : log::descriptor());
  if (!programs) return programs.error();
  const auto& identity = programs->identity;
  if (::geteuid() == 0 && !identity)
    log::warning(
        "the workers run as root: hostile code in them can stop the master and change what it has stored; "
        "`--user` "
        "runs them as another user");
  if (auto made = ensure_private_directory(options.state_dir, 0022); !made) return give_up(made.error());
  // Workers of another user must be able to enter the directory to reach the store. Private files in it have
  // modes of their own.
  if (identity && ::chmod(options.state_dir.c_str(), 0711) != 0)
    return give_up(os_error("let the workers through", options.state_dir, errno));
  if (const auto found = obstacle_of(options, programs->worker_host, identity)) return {failed, *found};
  auto lock = InstanceLock::acquire({options.port, options.state_dir, options.runtime_dir});
  if (!lock) return refusal(lock.error());
  auto orphans = look_for_orphans(options);
  if (!orphans) return orphans.error();
  if (*orphans) return take_over({options, *programs, many.before()}, std::move(*lock), std::move(**orphans));
  if (auto gone = lock->wait_for_workers(patience(options)); !gone) return refusal(gone.error());
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

  const auto token = new_token(options);
  if (!token) return give_up(token.error());
  master::OwnLoop loop;
  if (!loop.usable()) return {failed, "cannot make an event loop"};
  master::Master master(loop.get(), options, std::move(*lock), std::move(*listeners),
                        master::worker_request(options, *programs, many.before()), programs->store,
                        many.before());
  master.keep_with(programs->keeper);
  if (auto opened = master.open_control(options.auth ? token->text : ""); !opened)
    return give_up(opened.error());
  return master.run(*start);
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
  const auto complete = master::completion_for(*valid);
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
