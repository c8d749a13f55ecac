#include <map>

#include "master/master.hpp"

// The accept queues of the listeners that workers were lent, while no upgrade is under way.
namespace liveswap::master {

bool Master::is_quiet() const { return engine_.running() && engine_.unserved_slots().empty(); }

void Master::watch_queues() {
  if (!is_quiet()) return;
  std::vector<QueueWatch::Place> places;
  std::map<int, std::size_t> known;  // in shared mode, and of a Unix listener, all slots have the same socket
  const auto lent = listeners_.lent();
  for (unsigned slot = 0; slot < engine_.fork_count(); ++slot) {
    const auto sockets = listeners_.of_slot(slot);
    for (std::size_t i = 0; i < sockets.size() && i < lent.size(); ++i) {
      const auto [at, is_new] = known.emplace(sockets[i], places.size());
      if (is_new) places.push_back({sockets[i], lent[i]->name(), {}});
      places[at->second].slots.push_back(slot);
    }
  }
  queue_watch_.watch(places);
}

// Nobody accepts for a worker that has closed the listener by a system call of its own, which its host does
// not see. One that never waited on it may serve other listeners.
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
