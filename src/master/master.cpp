#include "master/master.hpp"

#include <nlohmann/json.hpp>

#include "base/file.hpp"
#include "base/log.hpp"
#include "base/tail.hpp"

namespace liveswap::master {
namespace {

// How long a slot that shall vanish still serves after new connections are steered away from it: what the
// kernel had dealt to it by then has long been accepted, and a handshake that was under way has ended.
constexpr rollout::Time steer_grace{1'000};

// How often the accept queue of a slot that shall vanish is looked at, and for how long its drain waits for
// that.
constexpr rollout::Time crowd_step{20};
constexpr rollout::Time crowd_limit{30'000};

// When an exception has cut off what follows from an event.
constexpr Milliseconds settle_again{50};

// Failures whose output is kept for the answer that tells of them.
constexpr std::size_t failures_limit = 64;

// Processes that read the history at once.
constexpr std::size_t readers = 4;
constexpr std::size_t resolvers = 2;
constexpr std::size_t verifiers = 2;

// Each step of a preparation has its own limit; the engine's is for the case that one of them is not kept.
constexpr rollout::Time prepare_slack{5'000};

std::optional<rollout::Time> limit_of(Milliseconds value) {
  return value.count() < 0 ? std::nullopt : std::optional<rollout::Time>(value);
}

rollout::Settings settings_of(const Options& options) {
  rollout::Settings settings;
  static_cast<rollout::Pace&>(settings) = pace_of(options);
  settings.forks = options.forks;
  settings.zero_downtime = options.zero_downtime;
  settings.health = !options.health.empty();
  settings.max_memory = options.max_memory;
  settings.max_draining = amount_of(options.max_draining);
  settings.settle = options.settle;
  settings.ready_limit = options.ready_limit;
  settings.drain_limit = limit_of(options.drain_limit);
  settings.term_grace = options.term_grace;
  settings.prepare_limit = options.hook_limit + 2 * options.check_limit + prepare_slack;
  settings.unsteer = options.listen_mode == ListenMode::reuseport ? steer_grace : rollout::Time{0};
  settings.backoff_min = options.backoff_min;
  settings.backoff_max = options.backoff_max;
  settings.backoff_reset = options.backoff_reset;
  settings.seed = static_cast<std::uint32_t>(uv_hrtime());
  return settings;
}

std::vector<config::HealthProbe> probes_of(const Options& options) {
  std::vector<config::HealthProbe> probes;
  for (const auto& text : options.health)
    if (auto probe = config::parse_health(text)) probes.push_back(std::move(*probe));
  return probes;
}

AppListeners::Rules takeover_rules(const Options& options, const std::optional<Identity>& identity) {
  return {options.listen_mode == ListenMode::reuseport,
          options.backlog,
          options.intercept == Intercept::seccomp,
          identity,
          {options.privileged_ports.begin(), options.privileged_ports.end()},
          0,
          options.await_listener && (options.entry != Options().entry || options.listen.empty()),
          {options.settle, std::min<Milliseconds>(options.listener_wait, options.ready_limit / 2)}};
}

// Of the worker host's command line, what is not its default.
std::vector<std::string> more_words(const Options& options) {
  const Options standard;
  std::vector<std::string> words;
  const auto add = [&](const char* name, const std::string& value) {
    words.insert(words.end(), {name, value});
  };
  if (options.entry != standard.entry) add("--entry", options.entry);
  if (options.intercept == Intercept::seccomp) add("--intercept", "seccomp");
  if (options.keepalive != Keepalive::end)
    add("--keepalive", options.keepalive == Keepalive::migrate ? "migrate" : "keep");
  if (options.keepalive_grace != standard.keepalive_grace)
    add("--keepalive-grace", std::to_string(options.keepalive_grace.count()));
  return words;
}

protocol::Refusal refusal_of(rollout::Verdict verdict) {
  switch (verdict) {
    case rollout::Verdict::ok:
    case rollout::Verdict::failed:
      return protocol::Refusal::failed;
    case rollout::Verdict::refused:
      return protocol::Refusal::refused;
    case rollout::Verdict::reverted:
      return protocol::Refusal::reverted;
    case rollout::Verdict::timed_out:
      return protocol::Refusal::timed_out;
    case rollout::Verdict::unreachable:
      return protocol::Refusal::failed;
  }
  return protocol::Refusal::failed;
}

}  // namespace

Master::Master(uv_loop_t& loop, Options options, InstanceLock lock, Listeners listeners,
               SpawnRequest worker_request, SpawnRequest store_request)
    : loop_(loop),
      options_(std::move(options)),
      lock_(std::move(lock)),
      listeners_(std::move(listeners)),
      home_(current_directory()),
      tools_{worker_request,
             std::move(store_request),
             options_.arguments,
             options_.entry,
             options_.pre_upgrade,
             options_.state_dir,
             options_.working_directory.empty() ? home_ : options_.working_directory,
             options_.hook_limit,
             options_.check_limit},
      store_(options_.state_dir),
      open_receipts_(release::History(options_.state_dir)),
      reader_(loop, tools_.store, readers, reading_limit),
      resolver_(loop, tools_.store, resolvers, reading_limit),
      verifier_(loop, tools_.store, verifiers, options_.check_limit),
      boot_timer_(loop),
      app_listeners_(listeners_, takeover_rules(options_, worker_request.identity),
                     [this](rollout::WorkerId id, std::uint32_t kind, std::int32_t value,
                            const Extras& extras) { return pool_.tell(id, kind, value, extras); }),
      pool_(loop, pool_template(std::move(worker_request)), listeners_, app_listeners_, pool_handlers()),
      engine_(settings_of(options_)),
      timer_(loop),
      crowd_timer_(loop),
      flip_timer_(loop),
      record_timer_(loop),
      app_listeners_timer_(loop),
      queue_timer_(loop),
      queue_watch_(loop, {[this] {
                            listeners_.repair();
                            watch_queues();
                          },
                          [this](const QueueWatch::Place& place, ino_t inode) { on_waiting(place, inode); }}),
      watch_timer_(loop),
      prober_(loop, probes_of(options_), listeners_.bound(), tools_.worker, options_.health_limit,
              [this](const Prober::Findings& found) { on_probed(found); }),
      undone_timer_(loop),
      steered_(options_.forks),
      started_(now()) {
  timer_.on_due([this] { perform(engine_.tick(now())); });
  undone_timer_.on_due([this] { do_undone(); });
}

Master::~Master() = default;

WorkerPool::Template Master::pool_template(SpawnRequest request) const {
  return {std::move(request),
          options_.arguments,
          more_words(options_),
          [this](const rollout::Release& release) { return store_.file(release.id, release.path); },
          [this] { return lock_.life(); },
          limit_of(options_.drain_limit),
          options_.term_grace};
}

WorkerPool::Handlers Master::pool_handlers() {
  using rollout::WorkerId;
  return {
      [this](WorkerId id, bool deferred) { perform(engine_.entered(now(), id, deferred)); },
      [this](WorkerId id) { perform(engine_.deferred(now(), id)); },
      [this](WorkerId id) { perform(engine_.ready(now(), id)); },
      [this](WorkerId id, const std::string& text) { perform(engine_.returned(now(), id, text)); },
      [this](WorkerId id, const rollout::Departure& departure) {
        // Whatever goes wrong here, the engine must hear of it.
        guarded([&] {
          listeners_.repair();
          mend_files();
        });
        guarded([&] {
          for (auto it = queries_.begin(); it != queries_.end();) (it++)->second->forget(id);
        });
        perform(engine_.exited(now(), id, departure));
      },
      [this](WorkerId id, std::int32_t question, std::uint64_t value) {
        if (const auto it = queries_.find(question); it != queries_.end()) it->second->answer(id, value);
      },
      [this](WorkerId id, std::uint64_t open) {
        listeners_.repair();
        const auto request = engine_.request_of(id);
        if (auto* receipt = open_receipts_.find(request)) receipt->connections(id, open);
        const auto it = pending_.find(request);
        if (it == pending_.end() || !control_) return;
        const protocol::Json members{
            {"slot", engine_.workers().at(id).slot}, {"pid", pool_.pid(id)}, {"open", open}};
        control_->event(it->second.connection, protocol::event_line("connections", members));
      },
      {},
      [this] {
        look_at_app_listeners();
        watch_files();
      },
  };
}

Result<void> Master::open_control(const std::string& token) {
  const protocol::Instance instance{options_.port, options_.state_dir, options_.runtime_dir};
  auto server = ControlServer::open(
      loop_, {instance, options_.address, token},
      [this](ConnectionId connection, const protocol::Command& command) { on_command(connection, command); });
  if (!server) return tl::unexpected<Error>(server.error());
  control_ = std::move(*server);
  return {};
}

Outcome Master::run(const rollout::Release& start) {
  if (options_.handle_signals)
    signals_.emplace(loop_, [this](Signals::Order order, const char* name) { obey(order, name); });
  if (options_.reap_children) reaper_.emplace(loop_);
  if (listeners_.bound().empty())
    log::info("no listener was configured (--listen): the application gets -1, and opens its own");
  for (const auto& listener : listeners_.bound())
    log::info("listener {}: {}", listener.name, listener.address);
  log::info("control: port {}, socket {}/{}.sock", options_.port, options_.runtime_dir, options_.port);
  watch_files();
  if (start.id.empty())
    boot(start, "");
  else
    verify_boot(start);
  uv_run(&loop_, UV_RUN_DEFAULT);
  return outcome_.value_or(Outcome{failed, "the event loop ended by itself"});
}

void Master::boot(const rollout::Release& release, const std::string& remark) {
  rollout::UpgradeRequest wish;
  wish.path = release.path;
  wish.pace = pace_of(options_);
  if (!release.id.empty()) wish.release = release;
  wish.remark = remark;
  perform(engine_.boot(now(), wish));
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
      pending_[++last_request_] = {0, protocol::Verb::upgrade, false, {}, name, now()};
      rollout::UpgradeRequest wish;
      wish.pace = pace_of(options_);
      return perform(engine_.upgrade(now(), last_request_, wish));
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
      log::warning("{}: a master cannot execute itself anew yet: nothing is done", name);
      return;
    case Signals::Order::log_state:
      return log_state(name);
  }
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
    // One that fails must not leave those behind it undone for ever.
    if (!guarded([&] { std::visit([this](const auto& order) { carry_out(order); }, command); }))
      guarded([&] { make_up_for(command); });
  }
  performing_ = false;
  if (!guarded([this] { settle(); })) timer_.start(settle_again);
}

// What follows from the engine's state rather than from a command: the next deadline, and which slots are
// served.
void Master::settle() {
  listeners_.steer(steered_, engine_.unserved_slots());
  if (listeners_.staged() && !engine_.staging()) listeners_.unstage();
  look_at_app_listeners();
  watch();
  watch_queues();
  const auto next = engine_.next_deadline();
  if (!next || outcome_)
    timer_.stop();
  else
    timer_.start(*next - now());
}

// The sockets that applications have bound, as the workers are now.
void Master::look_at_app_listeners() {
  app_listeners_.keep_options(engine_.reverting()
                                  ? std::set{engine_.generation()}
                                  : std::set{engine_.generation(), engine_.goal_generation()});
  if (app_listeners_.idle() && engine_.workers().empty()) return app_listeners_timer_.stop();
  std::vector<AppListeners::Seen> seen;
  for (const auto& [id, worker] : engine_.workers())
    seen.push_back(
        {id, worker.state == rollout::WorkerState::ready, worker.state == rollout::WorkerState::draining});
  auto next = app_listeners_.look(now(), seen, is_quiet());
  const auto judged = app_listeners_.judge(now());
  const auto given_up = app_listeners_.given_up(now());
  if (const auto due = app_listeners_.next_judgement()) next = next ? std::min(*next, *due) : *due;
  if (!next || outcome_)
    app_listeners_timer_.stop();
  else
    app_listeners_timer_.start(std::max(rollout::Time{0}, *next - now()),
                               [this] { look_at_app_listeners(); });
  judge_starting(judged);
  for (const auto& [worker, listener] : given_up)
    perform(engine_.stopped_serving(now(), worker,
                                    "it has closed the listener " + listener +
                                        ", or shut it down, without having been "
                                        "told to drain; the contract leaves that to the master"));
}

// Each event may bring about others, and the next look.
void Master::judge_starting(const std::vector<AppListeners::Judged>& judged) {
  for (const auto& [worker, outlook] : judged) {
    engine_.awaits(worker, outlook.awaits);
    for (const auto& listener : outlook.dropped) perform(engine_.dropped(now(), worker, listener));
    if (outlook.ready) perform(engine_.seen_ready(now(), worker));
  }
}

// Whoever drains while the master stops, or in a slot that vanishes, has no successor.
bool Master::has_successor(rollout::WorkerId id) const {
  const auto it = engine_.workers().find(id);
  return !engine_.stopping() && it != engine_.workers().end() && it->second.slot < engine_.fork_count();
}

// What waits for a slot that vanishes has nobody else: its worker is not told to drain before it has accepted
// that.
void Master::carry_out(const rollout::Drain& command) {
  if (is_gone(command.worker)) return;
  if (!is_crowded(command.worker))
    return pool_.drain(command.worker, command.limit, has_successor(command.worker));
  crowded_.push_back({command, now()});
  crowd_timer_.start(crowd_step, [this] { drain_crowded(); });
}

void Master::carry_out(const rollout::Expire& command) {
  if (!is_gone(command.worker)) pool_.expire(command.worker);
}

void Master::carry_out(const rollout::Signal& command) {
  if (!is_gone(command.worker)) pool_.signal(command.worker, command.kill);
}

bool Master::is_crowded(rollout::WorkerId id) const {
  const auto it = engine_.workers().find(id);
  return it != engine_.workers().end() && it->second.slot >= engine_.fork_count() &&
         listeners_.waiting(it->second.slot) > 0;
}

void Master::drain_crowded() {
  std::vector<Crowded> still;
  for (const Crowded& one : std::exchange(crowded_, {})) {
    const auto waited = now() - one.since;
    const auto limit = std::min(one.order.limit.value_or(crowd_limit), crowd_limit);
    if (waited < limit && is_crowded(one.order.worker))
      still.push_back(one);
    else
      pool_.drain(one.order.worker,
                  one.order.limit ? std::optional(*one.order.limit - std::min(waited, *one.order.limit))
                                  : std::nullopt,
                  has_successor(one.order.worker));
  }
  crowded_ = std::move(still);
  if (!crowded_.empty()) crowd_timer_.start(crowd_step, [this] { drain_crowded(); });
}

void Master::carry_out(const rollout::CloseSlots& command) {
  listeners_.shrink(command.slots);
  steered_ = std::min(steered_, command.slots);
}

void Master::carry_out(const rollout::Booted&) {
  close_receipt(0, "ok", start_remark_);
  log::info("ready: {} {} {}", engine_.fork_count(),
            engine_.fork_count() == 1 ? "worker runs" : "workers run", engine_.release().path);
  booted_ = true;
  tell_ready();
}

// What the comparison found is told before.
void Master::tell_ready() {
  if (!booted_ || comparison_) return;
  booted_ = false;
  if (options_.on_ready) guarded([this] { options_.on_ready(); });
}

void Master::notice(const std::string& text) const {
  log::warning("{}", text);
  if (options_.on_notice) options_.on_notice(text);
}

// The engine decides by what happened, not by what was written; so the words of a failed worker are added
// here.
void Master::keep_failure(const rollout::Note& note) {
  Failure failure{note.request, note.text,       pool_.last_output(note.worker),
                  note.slot,    note.generation, pool_.pid(note.worker),
                  now()};
  last_failure_[note.slot] = failure;
  failures_.push_back(std::move(failure));
  if (failures_.size() > failures_limit) failures_.pop_front();
}

// `reason` names the failure that it is about (rollout: "slot 0, stage start: …").
std::string Master::with_output_of(rollout::RequestId request, const std::string& reason) const {
  for (const Failure& failure : failures_)
    if (failure.request == request && reason.find(failure.reason) != std::string::npos)
      return with_output(reason, failure.output);
  return reason;
}

void Master::carry_out(const rollout::Answer& command) {
  const auto it = pending_.find(command.request);
  if (it == pending_.end()) return;
  const char* verb = protocol::word(it->second.verb);
  const auto refusal = refusal_of(command.verdict);
  const bool done = command.verdict == rollout::Verdict::ok;
  const auto reason = done ? command.text : with_output_of(command.request, command.text);
  // A release that nobody can reach is committed all the same, and can be gone back to.
  const bool committed = done || command.verdict == rollout::Verdict::unreachable;
  const auto [number, text] =
      close_receipt(command.request, committed ? "ok" : protocol::word(refusal), reason);
  if (done)
    log::info("{}: done, {}", verb, text);
  else
    log::warning("{}: {}: {}", verb, protocol::word(refusal), first_line(text));
  protocol::Json members = protocol::Json::object();
  if (number) {
    members["receipt"] = number;
    last_upgrade_ = LastUpgrade{command.verdict, text, number, now()};
  }
  if (done) members["text"] = text;
  answer(command.request,
         done ? protocol::ok_line(verb, members) : protocol::error_line(verb, refusal, text, members));
  collect();
}

void Master::carry_out(const rollout::Quit& command) {
  std::string text = with_output_of(0, command.text);
  if (const auto behind = record_at_last(); !behind.empty()) {
    log::warning("{}", behind);
    text += (text.empty() ? "" : "; ") + behind;
  }
  close_receipt(0, "failed", text);
  reader_.give_up("the master was told to stop");
  resolver_.give_up("the master was told to stop");
  verifier_.give_up("the master was told to stop");
  outcome_ = Outcome{command.ok ? ok : failed, text};
  uv_stop(&loop_);
}

void Master::carry_out(const rollout::Note& note) {
  // What could not be spawned was not: its failure follows.
  if (note.kind == rollout::NoteKind::spawned && pool_.pid(note.worker) == 0) return keep_for_later(note);
  if (note.kind == rollout::NoteKind::failed) keep_failure(note);
  log_note(note);
  account(note);
  note_event(note);
}

// Of a worker that is started later: told then.
void Master::keep_for_later(const rollout::Note& note) {
  for (auto& [file, waiting] : unstarted_)
    for (Unstarted& one : waiting)
      if (one.order.worker == note.worker) one.note = note;
}

// The one who asked for the upgrade sees what happens; a detached one is answered with the first of it.
void Master::note_event(const rollout::Note& note) {
  const auto it = pending_.find(note.request);
  if (it == pending_.end() || !control_) return;
  if (std::exchange(it->second.detach, false)) {
    const auto connection = std::exchange(it->second.connection, 0);
    control_->answer(connection, protocol::ok_line(protocol::word(it->second.verb), {{"text", "under way"}}));
    return;
  }
  const auto members = members_of(note);
  control_->event(it->second.connection,
                  protocol::event_line(members.at("event").get<std::string>(), members));
}

}  // namespace liveswap::master
