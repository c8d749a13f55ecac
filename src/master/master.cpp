#include "master/master.hpp"

#include <signal.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "base/file.hpp"
#include "base/log.hpp"
#include "release/head.hpp"

namespace liveswap::master {
namespace {

// How long a slot that shall vanish still serves after new connections are steered away from it: what the kernel had
// dealt to it by then has long been accepted, and a handshake that was under way has ended.
constexpr rollout::Time steer_grace{1'000};

std::optional<rollout::Time> limit_of(Milliseconds value) {
  return value.count() < 0 ? std::nullopt : std::optional<rollout::Time>(value);
}

rollout::Settings settings_of(const Options& options) {
  rollout::Settings settings;
  settings.forks = options.forks;
  settings.batch = options.batch;
  settings.surge = {options.surge.value, options.surge.percent};
  settings.zero_downtime = options.zero_downtime;
  settings.settle = options.settle;
  settings.ready_limit = options.ready_limit;
  settings.drain_limit = limit_of(options.drain_limit);
  settings.term_grace = options.term_grace;
  settings.hook_limit = options.hook_limit;
  settings.unsteer = options.listen_mode == ListenMode::reuseport ? steer_grace : rollout::Time{0};
  settings.backoff_min = options.backoff_min;
  settings.backoff_max = options.backoff_max;
  settings.backoff_reset = options.backoff_reset;
  settings.seed = static_cast<std::uint32_t>(uv_hrtime());
  return settings;
}

protocol::Refusal refusal_of(rollout::Verdict verdict) {
  switch (verdict) {
    case rollout::Verdict::ok:
    case rollout::Verdict::failed: return protocol::Refusal::failed;
    case rollout::Verdict::refused: return protocol::Refusal::refused;
    case rollout::Verdict::reverted: return protocol::Refusal::reverted;
    case rollout::Verdict::timed_out: return protocol::Refusal::timed_out;
  }
  return protocol::Refusal::failed;
}

}  // namespace

Master::Master(uv_loop_t& loop, Options options, InstanceLock lock, Listeners listeners, SpawnRequest worker_request)
    : loop_(loop),
      options_(std::move(options)),
      lock_(std::move(lock)),
      listeners_(std::move(listeners)),
      hook_request_(worker_request),
      pool_(loop, pool_template(std::move(worker_request)), listeners_, pool_handlers()),
      engine_(settings_of(options_)),
      timer_(loop),
      steered_(options_.forks),
      started_(now()),
      home_(current_directory()) {}

Master::~Master() = default;

WorkerPool::Template Master::pool_template(SpawnRequest request) const {
  return {std::move(request), options_.arguments, [this] { return lock_.life(); }, limit_of(options_.drain_limit), options_.term_grace};
}

WorkerPool::Handlers Master::pool_handlers() {
  using rollout::WorkerId;
  return {
      [this](WorkerId id, bool deferred) { perform(engine_.entered(now(), id, deferred)); },
      [this](WorkerId id) { perform(engine_.deferred(now(), id)); },
      [this](WorkerId id) { perform(engine_.ready(now(), id)); },
      [this](WorkerId id, const std::string& text) { perform(engine_.returned(now(), id, text)); },
      [this](WorkerId id, const rollout::Departure& departure) {
        listeners_.repair();
        for (auto it = inquiries_.begin(); it != inquiries_.end();) (it++)->second->forget(id);
        perform(engine_.exited(now(), id, departure));
      },
      [this](WorkerId id, std::int32_t question, std::uint64_t value) {
        if (const auto it = inquiries_.find(question); it != inquiries_.end()) it->second->answer(id, value);
      },
      [this](WorkerId id, std::uint64_t open) {
        listeners_.repair();
        const auto it = pending_.find(engine_.request_of(id));
        if (it == pending_.end() || !control_) return;
        const protocol::Json members{
            {"slot", engine_.workers().at(id).slot}, {"pid", pool_.pid(id)}, {"open", open}};
        control_->event(it->second.connection, protocol::event_line("connections", members));
      },
  };
}

Result<void> Master::open_control(const std::string& token) {
  const protocol::Instance instance{options_.port, options_.state_dir, options_.runtime_dir};
  auto server = ControlServer::open(loop_, {instance, options_.address, token},
                                    [this](ConnectionId connection, const protocol::Command& command) {
                                      on_command(connection, command);
                                    });
  if (!server) return tl::unexpected<Error>(server.error());
  control_ = std::move(*server);
  return {};
}

Outcome Master::run(const std::string& target) {
  if (options_.handle_signals) watch_signals();
  if (listeners_.bound().empty()) log::info("no listener was configured (--listen): the application gets -1");
  for (const auto& listener : listeners_.bound()) log::info("listener {}: {}", listener.name, listener.address);
  log::info("control: port {}, socket {}/{}.sock", options_.port, options_.runtime_dir, options_.port);
  perform(engine_.boot(now(), target));
  uv_run(&loop_, UV_RUN_DEFAULT);
  return outcome_.value_or(Outcome{failed, "the event loop ended by itself"});
}

void Master::watch_signals() {
  for (const int number : {SIGTERM, SIGINT})
    signals_.emplace_back(loop_, number, [this, number] {
      const bool second = std::string_view(engine_.state()) == "stopping";
      log::info("{}: {}", number == SIGTERM ? "SIGTERM" : "SIGINT", second ? "stopping now" : "draining, then stopping");
      perform(engine_.stop(now(), 0, second));
    });
  signals_.emplace_back(loop_, SIGHUP, [this] {
    log::info("SIGHUP: upgrading to what is at {}", engine_.release());
    pending_[++last_request_] = {0, protocol::Verb::upgrade, false, {}};
    perform(engine_.upgrade(now(), last_request_, ""));
  });
}

rollout::Time Master::now() const {
  return std::chrono::duration_cast<rollout::Time>(std::chrono::nanoseconds(uv_hrtime()));
}

// Carrying out a command may bring about the next event; its commands wait until those before them are done.
void Master::perform(rollout::Commands commands) {
  for (auto& command : commands) queue_.push_back(std::move(command));
  if (performing_) return;
  performing_ = true;
  while (!queue_.empty()) {
    const rollout::Command command = std::move(queue_.front());
    queue_.pop_front();
    std::visit([this](const auto& order) { carry_out(order); }, command);
  }
  performing_ = false;
  settle();
}

// What follows from the engine's state rather than from a command: the next deadline, and which slots are served.
void Master::settle() {
  listeners_.steer(steered_, engine_.unserved_slots());
  const auto next = engine_.next_deadline();
  if (!next || outcome_)
    timer_.stop();
  else
    timer_.start(*next - now(), [this] { perform(engine_.tick(now())); });
}

void Master::carry_out(const rollout::Prepare& command) {
  const std::string asked = command.path.empty() ? engine_.release() : command.path;
  pending_[command.request].release = asked;
  if (options_.pre_upgrade.empty()) {
    perform(engine_.prepared(now(), asked));
    return;
  }
  const auto place = hooks_.insert(hooks_.end(), nullptr);
  auto hook = Hook::start(
      loop_, hook_request_, options_.pre_upgrade, command.path,
      [this, asked, request = command.request](const Result<std::string>& path) {
        // The plugin ran where the workers do, and means its paths from there.
        const std::string& there = options_.working_directory.empty() ? home_ : options_.working_directory;
        const std::string release = !path ? "" : path->empty() ? asked : absolute_path(*path, there);
        if (path) pending_[request].release = release;
        perform(path ? engine_.prepared(now(), release) : engine_.prepare_failed(now(), path.error().text));
      },
      [this, place] { hooks_.erase(place); });
  if (hook) {
    *place = std::move(*hook);
  } else {
    hooks_.erase(place);
    perform(engine_.prepare_failed(now(), hook.error().text));
  }
}

void Master::carry_out(const rollout::CancelPrepare&) {
  if (!hooks_.empty()) hooks_.back()->cancel();
}

void Master::carry_out(const rollout::Commit& command) {
  const auto written = release::write_head(options_.head, command.release);
  perform(written ? engine_.committed(now()) : engine_.commit_failed(now(), written.error().text));
}

void Master::carry_out(const rollout::CloseSlots& command) {
  listeners_.shrink(command.slots);
  steered_ = command.slots;
}

void Master::carry_out(const rollout::Booted&) {
  log::info("ready: {} {} {}", engine_.fork_count(), engine_.fork_count() == 1 ? "worker runs" : "workers run",
            engine_.release());
  if (options_.on_ready) options_.on_ready();
}

void Master::carry_out(const rollout::Answer& command) {
  const auto it = pending_.find(command.request);
  if (it == pending_.end()) return;
  const Pending& request = it->second;
  if (request.verb == protocol::Verb::upgrade) remember(request, command);
  if (command.verdict == rollout::Verdict::ok) {
    log::info("{}: done, {}", protocol::word(request.verb), command.text);
    answer(command.request, protocol::ok_line(protocol::word(request.verb), {{"text", command.text}}));
  } else {
    log::warning("{}: {}: {}", protocol::word(request.verb), protocol::word(refusal_of(command.verdict)), command.text);
    refuse(command.request, refusal_of(command.verdict), command.text);
  }
}

void Master::remember(const Pending& upgrade, const rollout::Answer& answer) {
  if (answer.verdict != rollout::Verdict::refused)
    last_upgrade_ = LastUpgrade{answer.verdict, answer.text, upgrade.release, now()};
}

void Master::carry_out(const rollout::Quit& command) {
  outcome_ = Outcome{command.ok ? ok : failed, command.text};
  uv_stop(&loop_);
}

void Master::carry_out(const rollout::Note& note) {
  // What could not be spawned was not: its failure follows.
  if (note.kind == rollout::NoteKind::spawned && pool_.pid(note.worker) == 0) return;
  log_note(note);
  const auto it = pending_.find(note.request);
  if (it == pending_.end() || !control_) return;
  if (std::exchange(it->second.detach, false)) {
    const auto connection = std::exchange(it->second.connection, 0);
    control_->answer(connection, protocol::ok_line(protocol::word(it->second.verb), {{"text", "under way"}}));
    return;
  }
  const auto members = members_of(note);
  control_->event(it->second.connection, protocol::event_line(members.at("event").get<std::string>(), members));
}

}  // namespace liveswap::master
