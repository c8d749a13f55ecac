#include <algorithm>
#include <map>

#include "master/master.hpp"
#include "master/sockets/bind_address.hpp"

// Checks the listeners: application listeners that no worker uses, starting workers that have become ready,
// and workers that no longer accept from a lent listener.
namespace liveswap::master {
namespace {

constexpr Milliseconds queue_watch_step{100};

}  // namespace

// Updates the application listeners to the engine's state, and reports to the engine what has changed. The
// timer repeats this when something is due.
void Master::look_at_app_listeners() {
  app_listeners_.keep_options(engine_.reverting()
                                  ? std::set{engine_.generation()}
                                  : std::set{engine_.generation(), engine_.goal_generation()});
  if (app_listeners_.idle() && engine_.workers().empty()) return app_listeners_timer_.stop();
  std::vector<AppListeners::Seen> turned;
  for (const auto id : engine_.turned()) {
    const auto it = engine_.workers().find(id);
    if (it == engine_.workers().end()) continue;
    const auto state = it->second.state;
    turned.push_back({id, state == rollout::WorkerState::ready, state == rollout::WorkerState::draining});
  }
  auto next = app_listeners_.look(now(), turned, is_quiet());
  engine_.forget_turned();
  const auto judged = app_listeners_.judge(now());
  const auto given_up = app_listeners_.given_up(now());
  if (const auto due = app_listeners_.next_judgement()) next = next ? std::min(*next, *due) : *due;
  if (!next || outcome_) app_listeners_timer_.stop();
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

// Each perform() may change the engine's state and call look_at_app_listeners() again.
void Master::judge_starting(const std::vector<AppListeners::Judged>& judged) {
  for (const auto& [worker, outlook] : judged) {
    if (auto commands = engine_.awaits(now(), worker, outlook.awaits); !commands.empty())
      perform(std::move(commands));
    for (const auto& listener : outlook.dropped) perform(engine_.dropped(now(), worker, listener));
    if (outlook.ready) perform(engine_.seen_ready(now(), worker));
  }
}

bool Master::is_quiet() const { return engine_.running() && engine_.unserved_slots().empty(); }

// At once, or later once for many events: with many slots watch_queues() takes long.
void Master::watch_queues_soon() {
  if (!is_quiet()) return;
  if (const auto left = next_queue_watch_ - now(); left > Milliseconds{0}) queue_watch_timer_.start(left);
  else watch_queues();
}

void Master::watch_queues() {
  if (!is_quiet()) return;
  std::vector<QueueWatch::Place> places;
  // Socket → index in `places`: slots may share a socket (shared mode, Unix sockets).
  std::map<int, std::size_t> known;
  const auto lent = listeners_.lent();
  for (unsigned slot = 0; slot < engine_.fork_count(); ++slot) {
    const auto sockets = listeners_.of_slot(slot);
    for (std::size_t i = 0; i < sockets.size() && i < lent.size(); ++i) {
      const auto [at, is_new] = known.emplace(sockets[i], places.size());
      if (is_new) places.push_back({sockets[i], lent[i]->name(), {}, cookie_of(sockets[i])});
      places[at->second].slots.push_back(slot);
    }
  }
  queue_watch_.watch(places);
  next_queue_watch_ = now() + queue_watch_step;
}

// Connections wait in a listener's socket. A worker may have closed the socket by a raw system call, which
// the worker host does not see: reports to the engine each worker that waited on the listener and no longer
// has the socket open. A worker that never waited on this listener may serve others.
void Master::on_waiting(const QueueWatch::Place& place, ino_t inode) {
  if (!is_quiet()) return;
  std::vector<rollout::WorkerId> lost;
  for (const auto& [id, worker] : engine_.workers()) {
    const bool serves = worker.state == rollout::WorkerState::ready &&
                        std::find(place.slots.begin(), place.slots.end(), worker.slot) != place.slots.end();
    if (serves && app_listeners_.waits_on(id, place.listener) &&
        has_socket_open(pool_.pid(id), inode) == false)
      lost.push_back(id);
  }
  for (const auto id : lost)
    perform(engine_.stopped_serving(now(), id,
                                    "connections wait at the listener " + place.listener +
                                        ", and it has closed that without having been told to drain"));
}

}  // namespace liveswap::master
