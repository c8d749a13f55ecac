#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "master/state/master_state.hpp"
#include "master/uv/loop.hpp"

namespace liveswap::master {

// Gives liveswap-keeper the state of this master after each change, so that a next master can go on if this
// one is killed (docs/explanation/killed-master.md). What has been sent is safe, even if the keeper has not
// read it yet. Never blocks, except for some milliseconds where a keeper is started. A keeper that ends is
// replaced.
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
  };
  Keeping(uv_loop_t& loop, Settings settings);

  // Goes on with the keeper of the former master, or of the former image of this program.
  void adopt(UniqueFd link);
  // Call after each change, and before a command that cannot be taken back.
  void keep();
  // Borrowed; -1: no keeper.
  int link() const { return link_.get(); }
  // The master ends as it was told to: the keeper leaves. Returns when it has, so that the addresses are
  // free.
  void end();

 private:
  bool is_there();
  void watch();
  void on_link();
  void lose(const std::string& why);
  bool send(state::MasterState& state, const std::vector<int>& fds, const std::string& document);

  uv_loop_t& loop_;
  Settings settings_;
  UniqueFd link_;
  std::optional<Poll> poll_;
  Timer timer_;
  std::string kept_;       // the document that the keeper has
  Milliseconds next_{0};   // not before
  Milliseconds pause_{0};  // before the next keeper is started
  Milliseconds wait_{0};   // that the keeper knows
};

}  // namespace liveswap::master
