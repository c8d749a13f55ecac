#include <signal.h>
#include <unistd.h>

#include "base/file.hpp"
#include "base/log.hpp"
#include "base/text.hpp"
#include "config/values.hpp"
#include "master/master.hpp"

// Re-execution: what the state of this master is, and how a master goes on from the state of the former image
// of its program.
namespace liveswap::master {
namespace {

// How long a re-execution waits by default for what is under way.
constexpr Milliseconds rest_limit{60'000};

constexpr const char* ask_again = "the master is being re-executed: ask again";

}  // namespace

Reexecution::Handlers Master::reexecution_handlers() {
  return {
      [this](bool late) { return unrest(late); },
      [this] { return save(); },
      [this](rollout::RequestId request) {
        perform(engine_.answer_early(now()));
        requests_.refuse_others(request, ask_again);
        service_.begin_execution();
      },
      [this](rollout::RequestId request, const std::string& text) {
        log::info("reexec: waiting: {}", text);
        requests_.event(request, protocol::event_line("waiting", {{"text", text}}));
      },
      [this](rollout::RequestId request, const std::string& text, bool refused) {
        log::warning("reexec: {}", text);
        requests_.refuse(request, refused ? protocol::Refusal::refused : protocol::Refusal::failed, text);
        service_.follow();
      },
  };
}

void Master::on_reexec(rollout::RequestId request, const protocol::Command& command) {
  const auto refuse = [&](protocol::Refusal refusal, const std::string& text) {
    log::warning("reexec: {}", text);
    requests_.refuse(request, refusal, text);
  };
  Milliseconds limit = rest_limit;
  for (const auto& [name, text] : command.wishes) {
    const auto time = config::parse_duration(text);
    if (name != "wait" || !time)
      return refuse(protocol::Refusal::usage,
                    name + ": " + (name == "wait" ? time.error().text : "means nothing to reexec"));
    limit = *time;
  }
  if (options_.command_line.empty())
    return refuse(protocol::Refusal::refused,
                  "this master runs inside another program, which is not to be executed anew");
  if (reexecution_.is_under_way())
    return refuse(protocol::Refusal::refused, "a re-execution is under way already");
  if (engine_.stopping()) return refuse(protocol::Refusal::refused, "the master is stopping");
  const std::string program =
      command.value.empty() ? "" : absolute_path(command.value, command.cwd.empty() ? home_ : command.cwd);
  reexecution_.begin(request, program, limit);
}

std::optional<std::string> Master::unrest(bool late) {
  if (outcome_) return "the master is stopping";
  if (auto why = engine_.unrest()) return why;
  if (!late && !engine_.is_at_rest()) return "workers that were replaced or removed still drain";
  if (!late && requests_.has_others(reexecution_.request()))
    return "a command of another client is under way";
  if (reload_) return "a reload is under way";
  if (listeners_.is_changing()) return "old workers still have listeners that a reload has changed";
  if (booted_ || store_tasks_.is_comparing()) return "the master is still starting";
  if (!waiting_drains_.empty()) return "workers wait to be told to drain";
  if (app_listeners_.holds_connections()) return "connections that were handed off wait for a worker";
  if (!pool_.is_idle()) return "a worker has not read what was sent to it";
  if (requests_.server()->is_sending()) return "a long answer is being sent";
  if (keeping_ && keeping_->is_starting()) return "liveswap-keeper is starting";
  if (performing_ || !queue_.empty() || !undone_.empty() || listeners_.staged())
    return "commands are pending";
  return std::nullopt;
}

state::MasterState Master::save() {
  state::MasterState into = save_common();
  // They are answered before the execution (Reexecution's handlers: prepare).
  into.engine.decided.clear();
  into.executed = now();
  into.lock = {lock_.lock()};
  if (keeping_) into.keeper = {keeping_->link()};
  const auto* request = requests_.find(reexecution_.request());
  into.control = requests_.server()->save(request ? request->connection : 0);
  return into;
}

// For the next image of the program, and for the next master.
state::MasterState Master::save_common() const {
  state::MasterState into;
  into.version = LIVESWAP_VERSION;
  into.executions = status_.executions();
  into.started = status_.started();
  if (signals_) into.ignored_from_terminal = signals_->ignored_from_terminal();
  into.descriptors_soft = files_of_workers_.rlim_cur;
  into.descriptors_hard = files_of_workers_.rlim_max;
  if (log::descriptor() != STDERR_FILENO) into.log = {log::descriptor()};
  into.options = options_;
  // The state is kept just before a flip, which the next master repeats.
  into.listeners = listeners_.save(engine_.flipping() && listeners_.staged());
  into.listeners.kept = service_.stored();
  into.engine = engine_.facts();
  into.workers = pool_.save();
  into.left_outputs = pool_.save_left();
  into.remaining = pool_.last_remaining();
  into.app_listeners = app_listeners_.save();
  into.steered = steered_;
  into.last_request = requests_.last();
  into.last_query = queries_.last();
  into.failures = failures_;
  into.committed = committed_;
  into.fall_back = fall_back_;
  if (const auto& last = receipts_.last_upgrade())
    into.last_upgrade = {last->verdict, last->text, last->receipt, last->at};
  into.record_trouble = record_.trouble();
  return into;
}

Result<void> Master::adopt_control(const state::MasterState& from) {
  const protocol::Instance instance{options_.port, options_.state_dir, options_.runtime_dir};
  auto server = ControlServer::adopt(
      loop_, {instance, options_.address, from.control.token}, from.control,
      [this](ConnectionId connection, const protocol::Command& command) { on_command(connection, command); });
  if (!server) return tl::unexpected<Error>(server.error());
  requests_.serve(std::move(*server));
  return {};
}

// `failure`: why the program that should have gone on could not; empty: this is that program.
Outcome Master::resume(const state::MasterState& from, const std::string& failure) {
  for (const int number : from.ignored_from_terminal) ::signal(number, SIG_IGN);
  start_watching();
  status_.resume({from.started, now(), from.executions + 1});
  if (from.keeper.number >= 0) keeping_->adopt(UniqueFd::adopt(from.keeper.number));
  adopt(from);
  if (auto adopted = adopt_control(from); !adopted) return {failed, adopted.error().text};
  state::release_signals();
  const auto connection = requests_.server()->asked();
  const auto request = requests_.open({connection, protocol::Verb::reexec, false, {}, {}, now()});
  const std::string text =
      "version " LIVESWAP_VERSION " goes on with " + plural(from.workers.size(), "worker") + ", " +
      (from.version == LIVESWAP_VERSION ? "as the same version did" : "after version " + from.version) +
      ", " + std::to_string((now() - from.executed).count()) + " ms later";
  if (failure.empty()) {
    log::info("reexec: {}", text);
    requests_.answer(request, protocol::ok_line("reexec", {{"text", text}}));
  } else {
    log::error("reexec: {}; {}", failure, text);
    requests_.refuse(request, protocol::Refusal::failed, failure);
  }
  return loop();
}

}  // namespace liveswap::master
