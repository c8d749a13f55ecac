#include <nlohmann/json.hpp>

#include "base/file.hpp"
#include "base/log.hpp"
#include "master/master.hpp"
#include "master/settings.hpp"

// Constructs the parts of the master, and the handlers for their callbacks.
namespace liveswap::master {
namespace {

// The number of liveswap-store processes of `resolver_` that may run at once.
constexpr std::size_t resolvers = 2;

// How long to wait for the workers' counts. A worker that answers later is left out.
constexpr Milliseconds drain_count_limit{500};

}  // namespace

Master::Master(uv_loop_t& loop, Options options, InstanceLock lock, Listeners listeners,
               spawn::Request worker_request, spawn::Request store_request, const rlimit& files_of_workers)
    : loop_(loop),
      options_(std::move(options)),
      lock_(std::move(lock)),
      listeners_(std::move(listeners)),
      home_(current_directory()),
      tools_{worker_request,
             std::move(store_request),
             options_.arguments,
             options_.entry,
             launch_words(options_),
             options_.pre_upgrade,
             options_.state_dir,
             options_.working_directory.empty() ? home_ : options_.working_directory,
             options_.pre_upgrade_limit,
             options_.check_limit},
      store_(options_.state_dir),
      history_answers_(loop, tools_.store, options_.state_dir, requests_),
      resolver_(loop, tools_.store, resolvers, reading_limit),
      config_reading_(loop, tools_.store),
      app_listeners_(listeners_,
                     app_listener_rules(options_, worker_request.identity, !listeners_.lent().empty()),
                     [this](rollout::WorkerId id, std::uint32_t kind, std::int32_t value,
                            const Extras& extras) { return pool_.tell(id, kind, value, extras); }),
      pool_(loop, pool_template(std::move(worker_request)), listeners_, app_listeners_, pool_handlers()),
      engine_(engine_settings(options_)),
      timer_(loop),
      queries_(loop),
      receipts_(loop, release::History(options_.state_dir),
                {engine_, pool_, listeners_, requests_, failures_, known_runtimes_, options_.target}),
      soundness_(loop, tools_.store, options_, engine_, committed_, fall_back_, known_runtimes_),
      sound_start_(loop, soundness_, engine_, [this](const auto& found) { boot_from_store(found); }),
      record_(loop, engine_, options_.head, options_.state_dir),
      store_tasks_(loop, tools_.store, options_),
      waiting_drains_timer_(loop),
      pending_flip_(
          loop, [this] { return listeners_.waiting_in_old(); }, [this] { perform(engine_.flipped(now())); }),
      listener_files_(loop, listeners_, app_listeners_,
                      [this](const rollout::FileNews& news) { perform(engine_.files(now(), news)); }),
      app_listeners_timer_(loop),
      queue_watch_(loop, queue_handlers()),
      queue_watch_timer_(loop),
      health_rounds_(
          loop, engine_, options_.health_interval,
          [this](Prober::Done done) {
            return std::make_unique<Prober>(loop_, probes_of(options_), listeners_.bound(), tools_.worker,
                                            options_.health_limit, std::move(done));
          },
          health_handlers()),
      liveness_checks_(loop, engine_, liveness_plan(options_, tools_.worker), liveness_handlers()),
      notes_(engine_, pool_, failures_, [this](const std::string& text) { notice(text); }),
      status_(status_sources()),
      service_(loop, options_.service, engine_, listeners_),
      undone_timer_(loop),
      steered_(options_.forks),
      files_of_workers_(files_of_workers),
      reexecution_(loop, reexecution_handlers()) {
  timer_.on_due([this] { perform(engine_.tick(now())); });
  undone_timer_.on_due([this] { do_undone(); });
  queue_watch_timer_.on_due([this] { watch_queues_soon(); });
  if (service_.is_there()) listeners_.leave_open();
}

Master::~Master() = default;

WorkerPool::Template Master::pool_template(spawn::Request request) const {
  return {std::move(request),
          options_.arguments,
          worker_words(options_),
          [this](const rollout::Release& release) { return store_.file(release.id, release.path); },
          [this] { return lock_.life(); },
          limit_of(options_.drain_limit),
          options_.term_grace,
          WorkerProcess::start,
          Cgroups::of_this_process()};
}

WorkerPool::Handlers Master::pool_handlers() {
  using rollout::WorkerId;
  return {
      [this](WorkerId id, bool deferred) { perform(engine_.entered(now(), id, deferred)); },
      [this](WorkerId id) { perform(engine_.deferred(now(), id)); },
      [this](WorkerId id) { perform(engine_.ready(now(), id)); },
      [this](WorkerId id, const std::string& text) { perform(engine_.returned(now(), id, text)); },
      [this](WorkerId id, const rollout::Departure& departure) {
        // An exception here must not keep the exit from the engine.
        guarded([&] {
          listeners_.repair_of(engine_.workers().at(id).slot);
          listener_files_.mend();
        });
        guarded([&] { queries_.forget(id); });
        guarded([&] { close_listeners(); });
        guarded([&] { doubt_release(id, departure); });
        perform(engine_.exited(now(), id, departure));
      },
      [this](WorkerId id, std::int32_t question, std::uint64_t value) {
        queries_.answer(question, id, value);
      },
      [this](WorkerId id, std::uint64_t open) {
        listeners_.repair_of(engine_.workers().at(id).slot);
        const auto request = engine_.request_of(id);
        if (auto* receipt = receipts_.find(request)) receipt->connections(id, open);
        if (!requests_.find(request)) return;
        const protocol::Json members{
            {"slot", engine_.workers().at(id).slot}, {"pid", pool_.pid(id)}, {"open", open}};
        requests_.event(request, protocol::event_line("connections", members));
      },
      [this] { guarded([this] { keep(); }); },
      [this] {
        look_at_app_listeners();
        listener_files_.watch();
        guarded([this] { keep(); });
      },
      [this] { look_at_app_listeners(); },
      [this](WorkerId id, bool is_stopped) { perform(engine_.stopped(now(), id, is_stopped)); },
      [this](WorkerId id, std::int32_t number, AppListeners::Taken what) {
        liveness_checks_.taken(id, number, what);
      },
      [this](WorkerId id, Milliseconds next_within) { liveness_checks_.beat(id, next_within); },
  };
}

HealthRounds::Handlers Master::health_handlers() {
  using rollout::WorkerId;
  return {
      [this](const std::set<WorkerId>& workers, const auto& done) {
        count_connections(workers, drain_count_limit, [this, done](const WorkerQuery::Answers& answers) {
          HealthRounds::Counts served;
          for (const auto& [id, open] : answers) served[id] = pool_.find(id).served;
          done(served);
        });
      },
      [this](const HealthRounds::Counts& served, const HealthRounds::Sums& sums) {
        if (auto* receipt = receipts_.of_upgrade()) {
          receipt->requests(release::Recorder::Role::before, sums.before.requests, sums.before.failed);
          receipt->requests(release::Recorder::Role::fresh, sums.fresh.requests, sums.fresh.failed);
        }
        perform(engine_.counted(now(), served));
      },
      [this](const rollout::Probe& found) {
        if (auto* receipt = receipts_.of_upgrade()) receipt->probes(found.made, found.failed);
        perform(engine_.probed(now(), found));
      },
      [this](WorkerId id) { return pool_.may_have_served(id); },
  };
}

LivenessChecks::Handlers Master::liveness_handlers() {
  using rollout::WorkerId;
  return {
      [this](WorkerId id) { perform(engine_.answered(now(), id)); },
      [this](WorkerId id, const std::string& why) {
        perform(engine_.unanswered(now(), id, options_.liveness + ": " + why));
      },
      [this](WorkerId id, const std::string& why) {
        log::seldom(
            {"workers that cannot be asked"}, log::Level::warning,
            "pid {}: cannot be asked whether it answers ({}): {}; `--liveness run` or `heartbeat` can",
            pool_.pid(id), options_.liveness, why);
        perform(engine_.cannot_be_asked(now(), id));
      },
      [this](WorkerId id, const std::string& listener) -> Result<WorkerCheck::Way> {
        if (pool_.find(id).channel_version < LIVESWAP_CHANNEL_WITH_CHECKS)
          return fail("its worker host is of an earlier version, until the next upgrade");
        return app_listeners_.way_to(id, listener);
      },
      [this](WorkerId id, const WorkerCheck::Way& way, int connection, std::int32_t number) {
        return app_listeners_.ask(id, way, connection, number);
      },
      [this](WorkerId id) { return pool_.pid(id); },
  };
}

QueueWatch::Handlers Master::queue_handlers() {
  return {[this] {
            listeners_.repair();
            watch_queues();
          },
          [this](const QueueWatch::Place& place, ino_t inode) { on_waiting(place, inode); }};
}

StatusReport::Sources Master::status_sources() {
  return {options_,  engine_,   pool_,      listeners_, app_listeners_, requests_,
          failures_, receipts_, soundness_, record_,    store_tasks_,   known_runtimes_};
}

}  // namespace liveswap::master
