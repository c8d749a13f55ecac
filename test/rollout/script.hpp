#pragma once

#include <map>
#include <string>
#include <vector>

#include "rollout/engine.hpp"

namespace liveswap::rollout {

// An engine with a clock of the script's own. Every event returns, in words, what the engine orders because
// of it:
//
//   Script script{settings(2)};
//
//   CHECK(script.boot("A") == "spawn 1 in 0: A, spawn 2 in 1: A");
//
// The engine numbers workers in the order of their spawning, from 1. Workers do what the script says, and
// nothing else.
class Script {
 public:
  explicit Script(const Settings& settings);

  std::string boot(const std::string& release);
  // Boots, and makes every worker ready at once: workers 1 … forks of release A.
  static Script booted(const Settings& settings);

  std::string prepare_boot(const std::string& path);  // boots from a file; the script decides its preparation
  std::string upgrade(RequestId request);             // likewise an upgrade, at the pace of the settings
  std::string upgrade(RequestId request, const UpgradeRequest& wish);
  // An upgrade up to the roll, when its preparation is of no interest: requested and prepared.
  std::string roll(RequestId request, const Pace& pace, const std::string& release = "B");
  std::string promote(RequestId request);
  std::string abort(RequestId request);
  std::string kill(RequestId request);
  std::string forks(RequestId request, unsigned count);
  std::string gave_up(WorkerId worker);  // liveswap_main returned without a drain
  std::string stopped_serving(WorkerId worker);
  std::string stopped(WorkerId worker, bool is_stopped = true);  // by a signal
  std::string stop(RequestId request);
  std::string die(RequestId request);

  std::string prepared(const std::string& release, const std::string& remark = "");
  std::string prepare_failed(const std::string& text);
  std::string unfit(const std::string& text);
  std::string committed();
  std::string commit_failed(const std::string& text);
  std::string flipped();
  std::string flip_failed(const std::string& text);
  std::string measured(const std::map<WorkerId, std::uint64_t>& bytes);
  std::string probed(bool good);
  std::string answered(WorkerId worker);    // a liveness check
  std::string unanswered(WorkerId worker);  // a liveness check
  std::string cannot_be_asked(WorkerId worker);
  void forget_liveness() { engine_.forget_liveness(); }
  std::string counted(const std::map<WorkerId, Served>& served);

  std::string entered(WorkerId worker);
  std::string entered_deferred(WorkerId worker);
  std::string deferred(WorkerId worker);
  std::string seen_ready(WorkerId worker);  // the worker waits on its listeners
  std::string ready(WorkerId worker);       // the worker has entered, and says that it is ready
  std::string returned(WorkerId worker);    // the process exits with status 0
  std::string crashed(WorkerId worker);
  std::string files(const FileNews& news);
  std::string ended_by_sigterm(WorkerId worker, bool drained, std::uint64_t elsewhere = 0);
  std::string not_spawned(WorkerId worker);

  // Lets time pass, with a tick at each deadline. Orders are prefixed with their time: `+100 spawn 3 in 0:
  // A`.
  std::string pass(Time span);
  // The time until the next deadline, -1: there is none.
  long next() const;

  // The text of the last answer.
  const std::string& answer_text() const { return answer_text_; }
  Parting parting() const;  // of the worker that exited last
  const std::vector<Note>& notes() const { return notes_; }
  const Engine& engine() const { return engine_; }

 private:
  std::string say(const Commands& commands, const std::string& prefix = "");

  Settings settings_;
  Engine engine_;
  Time start_{1'000'000};
  Time now_ = start_;
  std::string answer_text_;
  std::vector<Note> notes_;
};

// The default settings, with so many slots.
Settings settings(unsigned forks);
// A request: a file at that pace, or a release of the store with the same path and id.
UpgradeRequest file(const Pace& pace = {});
UpgradeRequest stored(const std::string& release, const Pace& pace = {});

}  // namespace liveswap::rollout
