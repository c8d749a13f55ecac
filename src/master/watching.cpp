#include <algorithm>

#include "master/master.hpp"

// Rounds of health probes, and of what the applications count of themselves, while an upgrade is judged.
namespace liveswap::master {
namespace {

constexpr Milliseconds count_limit{500};
// Connections of a round to a listener: enough for every worker to get one, most likely.
constexpr unsigned least_connects = 4;
constexpr unsigned most_connects = 32;

}  // namespace

// A phase begins with a round of its own: what was found out before says nothing of it.
void Master::watch() {
  const std::string phase = engine_.judging() ? engine_.phase() : "";
  if (phase == watched_phase_) return;
  watched_phase_ = phase;
  // The round before the preparation is begun and awaited there.
  if (phase == "preparing") return;
  prober_.reset();
  if (phase.empty())
    watch_timer_.stop();
  else
    watch_timer_.start(Milliseconds{0}, [this] { watch_round(); });
}

void Master::watch_round() {
  count_served();
  if (options_.health.empty() || prober_) {
    watch_timer_.start(options_.health_interval, [this] { watch_round(); });
    return;
  }
  probe([this](const Prober::Result& result) {
    watch_timer_.start(options_.health_interval, [this] { watch_round(); });
    perform(engine_.probed(now(), {result.made, result.failed, result.text}));
  });
}

// One round; a round that is replaced is never heard of again.
void Master::probe(std::function<void(const Prober::Result&)> done) {
  const unsigned connects = std::clamp(2 * engine_.fork_count(), least_connects, most_connects);
  prober_ = std::make_unique<Prober>(loop_, probes_, connects, options_.health_limit,
                                     [this, done = std::move(done)](const Prober::Result& result) {
                                       const auto ended = std::move(prober_);
                                       if (auto* receipt = upgrade_receipt()) receipt->probes(result.made, result.failed);
                                       done(result);
                                     });
}

void Master::count_served() {
  std::set<rollout::WorkerId> workers;
  for (const auto& [id, worker] : engine_.workers())
    if (worker.state == rollout::WorkerState::ready) workers.insert(id);
  const auto question = ask(workers, count_limit, [this](const Inquiry::Answers& answers) {
    std::map<rollout::WorkerId, rollout::Served> served;
    for (const auto& [id, answer] : answers) served[id] = {answer, 0};
    perform(engine_.counted(now(), served));
  });
  for (const auto id : workers) pool_.count_connections(id, question);
}

}  // namespace liveswap::master
