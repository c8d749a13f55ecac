#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "master/keeping/keeper_start.hpp"
#include "master/state/master_state.hpp"
#include "master/uv/loop.hpp"

namespace liveswap::master {

// Gives liveswap-keeper the state of this master after each change, so that a next master can go on if this
// one is killed (docs/explanation/killed-master.md). What has been sent is safe, even if the keeper has not
// read it yet. A keeper that ends is replaced; until the next one has started, nothing is kept. Only end()
// and the destructor block.
class Keeping {
 public:
  struct Settings {
    std::string program;  // empty: there is none, and nothing is kept
    std::string state_dir;
    // How long the keeper waits for the next master; zero: not at all, and no keeper is needed; negative:
    // without a limit.
    std::function<Milliseconds()> wait;
    // nullopt: nothing to keep yet.
    std::function<std::optional<state::MasterState>()> save;
    // Called on the loop when keep() is to be called again.
    std::function<void()> due;
  };
  Keeping(uv_loop_t& loop, Settings settings);

  // Goes on with the keeper of the former master, or of the former image of this program.
  void adopt(UniqueFd link);
  // Call after each change. True: the keeper has the present state, or there is no keeper. False:
  // Settings::due is called later, since the keeper could not be reached, or the last state took long to make
  // (hundreds of workers) and the next one is made after a pause.
  bool keep();
  // The same without a pause: call before a command that cannot be taken back.
  bool keep_at_once();
  // How long keep() would wait. A command that cannot be taken back and may wait, such as a drain, waits so
  // long: so those of many workers share one state.
  Milliseconds pause_left() const;
  bool is_starting() const { return start_ != nullptr; }
  // Borrowed; -1: no keeper.
  int link() const { return link_.get(); }
  // The master ends as it was told to: the keeper leaves. Blocks until it has, so that the addresses are
  // free, for at most 2 s.
  void end();

 private:
  bool is_there();
  void on_started(Result<UniqueFd> link);
  void start_later();
  void watch();
  void on_link();
  void lose(const std::string& why);
  bool send_current();
  bool send(const state::MasterState& state, const std::string& document);
  void dismiss();

  uv_loop_t& loop_;
  Settings settings_;
  UniqueFd link_;
  std::optional<Poll> poll_;
  std::unique_ptr<KeeperStart> start_;  // of a keeper, not yet connected
  Timer timer_;
  std::string kept_;             // the document that the keeper has
  Milliseconds next_{0};         // no state before
  Milliseconds next_keeper_{0};  // no start of a keeper before
  Milliseconds pause_{0};        // before the next start
  Milliseconds wait_{0};         // that the keeper knows
};

}  // namespace liveswap::master
