#include <doctest/doctest.h>

#include <set>

#include "rollout/engine.hpp"

using namespace liveswap::rollout;
using namespace std::chrono_literals;

namespace {

// Workers that do at once what they are told, and an engine.
class Crowd {
 public:
  Crowd(unsigned forks, unsigned processors) : engine_(settings_of(forks, processors)) {
    UpgradeRequest wish;
    wish.release = Release{"a.so", "A"};
    take(engine_.boot(now_, wish));
    run();
  }

  void upgrade(const std::string& release) {
    UpgradeRequest wish;
    wish.release = Release{release + ".so", release};
    take(engine_.upgrade(now_, 1, wish));
    run();
  }

  void stop() {
    take(engine_.stop(now_, 2, false));
    run();
  }

  const Engine& engine() const { return engine_; }
  std::uint64_t events() const { return events_; }
  // The most successors that were under way at once, and the most that did more than to wait.
  std::size_t most_starting() const { return most_starting_; }
  std::size_t most_working() const { return most_working_; }

 private:
  static Settings settings_of(unsigned forks, unsigned processors) {
    Settings settings;
    settings.forks = forks;
    settings.processors = processors;
    return settings;
  }

  void take(const Commands& commands) {
    ++events_;
    for (const auto& command : commands) {
      if (const auto* spawn = std::get_if<Spawn>(&command)) starting_.insert(spawn->worker);
      if (const auto* drain = std::get_if<Drain>(&command)) leaving_.push_back(drain->worker);
      if (std::holds_alternative<Commit>(command)) commits_ = true;
    }
    if (engine_.generation() > 0) most_working_ = std::max(most_working_, starting_.size());
    if (engine_.generation() > 0)
      most_starting_ = std::max(most_starting_, starting_.size() + settling_.size());
  }

  // First all that can start does, then time passes.
  void run() {
    for (;;) {
      if (commits_) {
        commits_ = false;
        take(engine_.committed(now_));
      } else if (!starting_.empty()) {
        const WorkerId id = *starting_.begin();
        starting_.erase(starting_.begin());
        settling_.insert(id);
        take(engine_.entered(now_, id, false));
      } else if (!leaving_.empty()) {
        const WorkerId id = leaving_.back();
        leaving_.pop_back();
        Departure departure;
        departure.clean = true;
        take(engine_.exited(now_, id, departure));
      } else if (!settling_.empty()) {
        now_ = *engine_.next_deadline();
        settling_.clear();
        take(engine_.tick(now_));
      } else return;
    }
  }

  Engine engine_;
  Time now_{1s};
  std::set<WorkerId> starting_, settling_;
  std::vector<WorkerId> leaving_;
  bool commits_ = false;
  std::uint64_t events_ = 0;
  std::size_t most_starting_ = 0, most_working_ = 0;
};

// Slots that the engine looked at for an event, on average over an upgrade.
double looks_for_event(unsigned forks) {
  Crowd crowd(forks, 4);
  const auto looks = crowd.engine().looks(), events = crowd.events();
  crowd.upgrade("B");
  CHECK(crowd.engine().generation() == 2);
  return static_cast<double>(crowd.engine().looks() - looks) / static_cast<double>(crowd.events() - events);
}

}  // namespace

TEST_CASE("many slots: an event costs the same with 1,000 as with 16") {
  const double few = looks_for_event(16), many = looks_for_event(1000);
  CAPTURE(few);
  CAPTURE(many);
  CHECK(few < 10);
  CHECK(many < few + 2);
}

TEST_CASE("many slots: so does a stop") {
  Crowd crowd(1000, 4);
  const auto looks = crowd.engine().looks();
  crowd.stop();
  CHECK(crowd.engine().workers().empty());
  CHECK(crowd.engine().looks() - looks < 10 * 1000);
}

TEST_CASE("many slots: by default the first successor is alone, then a quarter at most, and few that work") {
  Crowd crowd(100, 4);
  crowd.upgrade("B");
  CHECK(crowd.engine().generation() == 2);
  CHECK(crowd.most_working() == 4);
  CHECK(crowd.most_starting() == 25);
}

TEST_CASE("many slots: up to seven slots have their turns one after the other") {
  Crowd crowd(7, 4);
  crowd.upgrade("B");
  CHECK(crowd.most_starting() == 1);
}
