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
//   CHECK(script.boot("A") == "spawn 1 in 0: A, spawn 2 in 1: A");
//
// Workers are numbered by the engine in the order of their spawning, from 1. There is no world: workers do
// what the script says, and nothing else.
class Script {
 public:
  explicit Script(const Settings& settings);

  std::string boot(const std::string& release);
  // Boots with every worker ready at once: workers 1 … forks of release A.
  static Script booted(const Settings& settings);

  std::string prepare_boot(const std::string& path);  // of a file whose preparation the script decides
  std::string upgrade(RequestId request);             // likewise; at the pace of the settings
  std::string upgrade(RequestId request, const UpgradeRequest& wish);
  // Half-way upgrades, when nothing else is of interest: asked for and prepared.
  std::string roll(RequestId request, const Pace& pace, const std::string& release = "B");
  std::string promote(RequestId request);
  std::string abort(RequestId request);
  std::string kill(RequestId request);
  std::string forks(RequestId request, unsigned count);
  std::string gave_up(WorkerId worker);  // liveswap_main returned, nobody had asked
  std::string stopped_serving(WorkerId worker);
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
  std::string counted(const std::map<WorkerId, Served>& served);

  std::string entered(WorkerId worker);
  std::string entered_deferred(WorkerId worker);
  std::string deferred(WorkerId worker);
  std::string seen_ready(WorkerId worker);  // waits on its listeners
  std::string ready(WorkerId worker);       // entered, and says that it is ready
  std::string returned(WorkerId worker);    // leaves with status 0
  std::string crashed(WorkerId worker);
  std::string files(const FileNews& news);
  std::string ended_by_sigterm(WorkerId worker, bool drained);
  std::string not_spawned(WorkerId worker);

  // Lets time pass, with a tick at each deadline; what is ordered carries its time: `+100 spawn 3 in 0: A`.
  std::string pass(Time span);
  // How far away the next deadline is, -1 when there is none.
  long next() const;

  // `answer 7 ok` was one of the orders: its text.
  const std::string& answer_text() const { return answer_text_; }
  Parting parting() const;  // of the worker that was the last to go
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

// The defaults, with so many slots.
Settings settings(unsigned forks);
// What somebody asks for: a file at that pace, or a release of the store, which has the same path and id.
UpgradeRequest file(const Pace& pace = {});
UpgradeRequest stored(const std::string& release, const Pace& pace = {});

}  // namespace liveswap::rollout
