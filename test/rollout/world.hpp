#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <iosfwd>
#include <map>
#include <optional>
#include <queue>
#include <string>
#include <vector>

#include "plan.hpp"
#include "rollout/engine.hpp"
#include "rules.hpp"

namespace liveswap::rollout {

// A simulated master with an engine: it carries out the engine's orders one after the other, in virtual time.
// Workers, preparations, probes and disks misbehave as the plan says. The rules judge every event.
class World {
 public:
  World(const Plan& plan, Dice& dice, std::ostream* trace);
  World(const World&) = delete;

  void boot();
  void request(const Request& request);
  void request_at(Time at, const Request& request);
  // Lets the next event happen; false: there is no event left.
  bool step();
  // From now on no worker dies by itself, and every start succeeds.
  void calm_down() { calm_ = true; }

  bool quit() const { return rules_.quit(); }
  bool requests_done() const { return requests_ahead_ == 0 && rules_.all_answered(); }
  Time now() const { return now_; }
  const Rules& rules() const { return rules_; }

 private:
  // The common properties of a release's workers.
  struct Nurture {
    Character character;
    std::uint64_t size;
  };
  struct Process {
    Nature nature;
    std::uint64_t size = 0;
    std::optional<Time> hangs_from;  // known when the worker is ready
    bool answered = false;
    bool silent = false;
  };
  struct Event {
    Time at;
    std::uint64_t order;  // random, so that events of the same time come in any order
    std::function<void()> happen;
    bool operator>(const Event& other) const { return at != other.at ? at > other.at : order > other.order; }
  };

  void later(Time span, std::function<void()> happen);
  void tell(Cause cause, const char* what, std::uint64_t whom, const std::function<Commands()>& engine);
  void reexecute();
  void perform(const Commands& commands);
  void watch();

  void obey(const Spawn& spawn);
  void obey(const Drain& drain);
  void obey(const Revoke&) {}
  void obey(const Signal& signal);
  void obey(const Prepare&);
  void obey(const CancelPrepare&) { ++preparation_; }
  void obey(const Commit& commit);
  void obey(const Flip&);
  void obey(const Measure&);
  void obey(const Steer&) {}
  void obey(const CloseSlots&) {}
  void obey(const Booted&) {}
  void obey(const Answer&) {}
  void obey(const Quit&) {}
  void obey(const Note& note);

  void enter(WorkerId worker);
  void defer(WorkerId worker);
  void say_ready(WorkerId worker);
  void give_up(WorkerId worker);
  void ask(WorkerId worker);
  void ask_later(WorkerId worker, Time span);
  void ask_anew();
  bool hangs(const Process& process) const;
  void report_answer(WorkerId worker, Process& process);
  void report_silence(WorkerId worker, Process& process);
  void exit(WorkerId worker, bool clean);
  void haunt(WorkerId worker);
  void exit_later(WorkerId worker, const std::optional<Time>& span, bool clean);
  void end_preparation(unsigned number, bool fails);
  void flipped();
  void measured(const std::map<WorkerId, std::uint64_t>& bytes);
  void probe();
  void count();
  void ask_for_upgrade(RequestId id, const Request& request);
  Release any_release();
  const Nurture& nurture(const Release& release);

  Plan plan_;
  Dice& dice_;
  std::ostream* trace_;
  Engine engine_;
  Rules rules_;
  Time now_{1'000};
  bool calm_ = false;
  std::priority_queue<Event, std::vector<Event>, std::greater<>> events_;
  std::deque<Command> orders_;
  bool performing_ = false;
  std::map<WorkerId, Process> processes_;
  std::map<std::string, Nurture> releases_;
  unsigned preparation_ = 0;  // the number of the current preparation; a cancelled one has a lower number
  bool flips_ = false;
  bool answered_ = false;   // some worker has answered a liveness check
  unsigned execution_ = 0;  // of the master: its checks end with it
  bool watched_ = false;
  unsigned release_count_ = 0;
  unsigned requests_ahead_ = 0;
  RequestId last_request_ = 0;
};

}  // namespace liveswap::rollout
