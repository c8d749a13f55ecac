#include "master/master.hpp"

#include <signal.h>

#include <nlohmann/json.hpp>

#include "base/log.hpp"
#include "base/tail.hpp"
#include "base/text.hpp"
#include "master/settings.hpp"
#include "master/workers/memory.hpp"

namespace liveswap::master {
namespace {

// Pause before settle() is repeated after an exception.
constexpr Milliseconds settle_again{50};
// Polling interval: nothing reports that an accept queue is empty.
constexpr Milliseconds waiting_drains_step{20};

// The next master must know of the workers that take over before a worker is told to go, and that they are
// ready before HEAD names their release. It repeats a flip that has begun. For a drain see drain_those_due().
bool is_irrevocable(const rollout::Command& command) {
  using namespace rollout;
  return std::holds_alternative<Revoke>(command) || std::holds_alternative<Signal>(command) ||
         std::holds_alternative<Flip>(command) || std::holds_alternative<Commit>(command);
}

}  // namespace

Result<void> Master::open_control(const std::string& token) {
  const protocol::Instance instance{options_.port, options_.state_dir, options_.runtime_dir};
  auto server = ControlServer::open(
      loop_, {instance, options_.address, token},
      [this](ConnectionId connection, const protocol::Command& command) { on_command(connection, command); });
  if (!server) return tl::unexpected<Error>(server.error());
  requests_.serve(std::move(*server));
  return {};
}

void Master::start_watching() {
  if (options_.handle_signals)
    signals_.emplace(loop_, [this](Signals::Order order, const char* name) { obey(order, name); });
  if (options_.reap_children) {
    reaper_.emplace(loop_);
    stops_.emplace(loop_, SIGCHLD, [this] { pool_.look_for_stops(); });
  }
  listener_files_.watch();
}

Outcome Master::loop() {
  uv_run(&loop_, UV_RUN_DEFAULT);
  // No worker is left.
  if (keeping_) keeping_->end();
  return outcome_.value_or(Outcome{failed, "the event loop ended by itself"});
}

Outcome Master::run(const rollout::Release& start) {
  start_watching();
  if (listeners_.bound().empty())
    log::info("no listener was configured (--listen): the application gets -1, and opens its own");
  for (const auto& listener : listeners_.bound())
    log::info("listener {}: {}", listener.name, listener.address);
  log::info("control: port {}, socket {}/{}.sock", options_.port, options_.runtime_dir, options_.port);
  if (start.id.empty()) boot(rollout::Start{start, ""});
  else sound_start_.find(start);
  return loop();
}

void Master::boot(const rollout::Start& start) {
  rollout::UpgradeRequest request;
  request.path = start.release.path;
  request.pace = pace_of(options_);
  if (!start.release.id.empty()) request.release = start.release;
  request.remark = start_remark_ = start.remark;
  perform(engine_.boot(now(), request));
}

void Master::boot_from_store(const std::optional<SoundStart::Found>& found) {
  const auto begin = [&] {
    if (outcome_) return;
    if (const auto* none = std::get_if<rollout::NoStart>(&found->choice)) {
      log::error("{}", none->text);
      outcome_ = Outcome{failed, none->text};
      return uv_stop(&loop_);
    }
    const auto& start = std::get<rollout::Start>(found->choice);
    if (found->as_committed)
      store_tasks_.compare(start.release, [this](const std::string& difference) {
        if (!difference.empty()) notice(difference);
        tell_ready();
      });
    boot(start);
  };
  if (!found || !guarded(begin)) make_up(rollout::Quit{false, {}});
}

void Master::obey(Signals::Order order, const char* name) {
  switch (order) {
    case Signals::Order::stop: {
      const bool second = engine_.stopping();
      log::info("{}: {}", name, second ? "stopping now" : "draining, then stopping");
      return perform(engine_.stop(now(), 0, second));
    }
    case Signals::Order::hang_up:
      if (engine_.stopping()) return;
      log::info("{}: the terminal was closed: draining, then stopping", name);
      return perform(engine_.stop(now(), 0, false));
    case Signals::Order::upgrade: {
      log::info("{}: upgrading to what is at {}", name, engine_.release().path);
      service_.begin_reload();
      const auto request = requests_.open({0, protocol::Verb::upgrade, false, {}, name, now()});
      return upgrade_with_environment(request, name);
    }
    case Signals::Order::reopen_log:
      if (const auto opened = log::reopen(); !opened)
        log::error("{}: {}; the log stays where it is", name, opened.error().text);
      else
        log::info("{}: {}", name,
                  *opened ? "the log file was opened anew"
                          : "the log is no file of the master's (--log-file): nothing to open");
      return;
    case Signals::Order::re_execute:
      log::info("{}: re-executing", name);
      return on_reexec(requests_.open({0, protocol::Verb::reexec, false, {}, name, now()}), {});
    case Signals::Order::log_state: return notes_.log_state(name);
  }
}

// Carries out the commands in order. Carrying out a command may cause an event and so a nested call, which
// only appends its commands to the queue.
void Master::perform(rollout::Commands commands) {
  for (auto& command : commands) queue_.push_back(std::move(command));
  is_kept_ = false;
  if (performing_) return;
  performing_ = true;
  while (!queue_.empty()) {
    const rollout::Command command = std::move(queue_.front());
    queue_.pop_front();
    if (!is_kept_ && is_irrevocable(command)) guarded([this] { keep_at_once(); });
    // An exception in one command must not keep the later ones from being carried out.
    if (!guarded([&] { std::visit([this](const auto& order) { carry_out(order); }, command); }))
      guarded([&] { make_up_for(command); });
  }
  performing_ = false;
  if (!guarded([this] { settle(); })) timer_.start(settle_again);
  guarded([this] { keep(); });
}

// Updates everything that follows from the engine's state and not from a single command: steering, listeners,
// health rounds, the timer for the next deadline.
void Master::settle() {
  steer();
  if (listeners_.staged() && !engine_.staging()) listeners_.unstage();
  look_at_app_listeners();
  health_rounds_.follow();
  liveness_checks_.follow();
  watch_queues_soon();
  service_.follow();
  catch_up_with_start();
  const auto next = engine_.next_deadline();
  if (!next || outcome_) timer_.stop();
  else timer_.start(*next - now());
}

Listeners::Serving Master::serving(rollout::WorkerId worker) const {
  const auto it = engine_.workers().find(worker);
  return {it == engine_.workers().end() ? 0 : it->second.slot, pool_.lending(worker)};
}

void Master::steer() {
  std::vector<Listeners::Serving> all;
  if (listeners_.is_changing())
    for (const auto& [id, worker] : engine_.workers())
      if (worker.state == rollout::WorkerState::ready && !worker.staged && !worker.stopped_since)
        all.push_back(serving(id));
  listeners_.steer(steered_, engine_.unserved_slots(), all);
}

// Sockets that the successor does not get receive no connection any more before the worker is told.
void Master::carry_out(const rollout::Drain& command) {
  if (end_without_process(command.worker)) return;
  if (listeners_.is_changing()) {
    steer();
    listeners_.begin_parting();
  }
  waiting_drains_.add(now(), command);
  drain_those_due();
}

// Keeps the state first, since a drain cannot be taken back. If that must pause, as with hundreds of workers,
// the drains wait for the next state. An exception leaves the drain in `waiting_drains_`; the timer, which is
// started before, tries again.
void Master::drain_those_due() {
  const Milliseconds pause = keeping_ && !is_kept_ ? keeping_->pause_left() : Milliseconds{0};
  const auto must_wait = [this, pause](rollout::WorkerId id) {
    if (pause > Milliseconds{0}) return true;
    const auto it = engine_.workers().find(id);
    if (it == engine_.workers().end()) return false;
    const bool is_removed = it->second.slot >= engine_.fork_count();
    return (is_removed && listeners_.waiting(it->second.slot) > 0) ||
           (!engine_.stopping() && listeners_.waiting_in_parting(serving(id), engine_.fork_count()) > 0);
  };
  waiting_drains_timer_.start(pause > Milliseconds{0} ? pause : waiting_drains_step,
                              [this] { drain_those_due(); });
  while (const auto order = waiting_drains_.due(now(), must_wait)) {
    if (!is_kept_) guarded([this] { keep_at_once(); });
    drain(*order);
    waiting_drains_.remove(order->worker);
  }
  if (waiting_drains_.empty()) waiting_drains_timer_.stop();
}

// A worker that drains while the master stops, or in a slot that vanishes, has no successor.
void Master::drain(const rollout::Drain& order) {
  const auto it = engine_.workers().find(order.worker);
  const bool succeeded =
      !engine_.stopping() && it != engine_.workers().end() && it->second.slot < engine_.fork_count();
  pool_.drain(order.worker, order.limit, succeeded);
}

void Master::carry_out(const rollout::Revoke& command) {
  if (!end_without_process(command.worker)) pool_.revoke(command.worker);
}

void Master::carry_out(const rollout::Signal& command) {
  if (!end_without_process(command.worker)) pool_.signal(command.worker, command.kill);
}

void Master::carry_out(const rollout::CloseSlots& command) {
  listeners_.shrink(command.slots);
  steered_ = std::min(steered_, command.slots);
}

void Master::carry_out(const rollout::Measure&) {
  std::map<rollout::WorkerId, std::uint64_t> bytes;
  for (const auto& [id, worker] : engine_.workers()) {
    const pid_t pid = pool_.pid(id);
    if (const auto pss = pid ? pss_of(pid) : std::nullopt) bytes[id] = *pss;
  }
  perform(engine_.measured(now(), bytes));
}

void Master::carry_out(const rollout::Booted&) {
  receipts_.close(0, rollout::Verdict::ok, start_remark_);
  log::info("ready: {} {} {}", engine_.fork_count(),
            engine_.fork_count() == 1 ? "worker runs" : "workers run", engine_.release().path);
  booted_ = true;
  tell_ready();
}

// Calls on_ready once after the boot, but not before the comparison with the file has ended: its notice comes
// first. A start that has taken over has its own options to apply before.
void Master::tell_ready() {
  if (!booted_ || store_tasks_.is_comparing() || late_start_) return;
  booted_ = false;
  if (options_.on_ready) guarded([this] { options_.on_ready(); });
}

void Master::notice(const std::string& text) const {
  log::warning("{}", text);
  if (options_.on_notice) options_.on_notice(text);
}

void Master::carry_out(const rollout::Answer& command) {
  if (take_reload_answer(command)) return;
  const auto changes = reload_changes_.extract(command.request);
  const auto* request = requests_.find(command.request);
  if (!request) return;
  const char* verb = protocol::word(request->verb);
  const auto refusal = refusal_of(command.verdict);
  const bool done = command.verdict == rollout::Verdict::ok;
  const auto reason = done ? command.text : failures_.with_output_of(command.request, command.text);
  const auto [number, text] = receipts_.close(command.request, command.verdict, reason);
  if (done) log::info("{}: done, {}", verb, text);
  else log::warning("{}: {}: {}", verb, protocol::word(refusal), first_line(text));
  protocol::Json members = protocol::Json::object();
  if (number) members["receipt"] = number;
  if (done) members["text"] = text;
  if (changes) members["changes"] = changes.mapped();
  // Before the client gets its answer: otherwise the next master might answer the same request differently.
  guarded([this] { keep_at_once(); });
  requests_.answer(command.request, done ? protocol::ok_line(verb, members)
                                         : protocol::error_line(verb, refusal, text, members));
  collect();
}

void Master::carry_out(const rollout::Quit& command) {
  std::string text = failures_.with_output_of(0, command.text);
  if (const auto behind = record_.write_at_last(); !behind.empty()) {
    log::warning("{}", behind);
    text = joined(text, behind);
  }
  receipts_.close(0, rollout::Verdict::failed, text);
  constexpr const char* why = "the master was told to stop";
  history_answers_.give_up(why);
  resolver_.give_up(why);
  config_reading_.give_up(why);
  soundness_.give_up(why);
  outcome_ = Outcome{command.ok ? ok : failed, text};
  uv_stop(&loop_);
}

void Master::carry_out(const rollout::Note& note) {
  // The worker has no process yet (spawning.cpp): the note is kept until the process exists.
  if (note.kind == rollout::NoteKind::spawned && pool_.pid(note.worker) == 0) return unspawned_.keep(note);
  if (note.kind == rollout::NoteKind::failed || note.kind == rollout::NoteKind::hung) {
    std::string output = pool_.last_output(note.worker);
    if (const auto advice = advice_on(output, options_.state_dir + "/releases/"); !advice.empty())
      output += (output.ends_with('\n') ? "" : "\n") + advice;
    failures_.add({note.request, note.text, std::move(output), note.slot, note.generation,
                   pool_.pid(note.worker), now()});
  }
  follow_reload(note);
  notes_.log(without_reload(note));
  receipts_.add(note);
  // Send the event to the client that requested the upgrade.
  if (requests_.find(note.request)) requests_.event(note.request, notes_.event(note));
}

}  // namespace liveswap::master
