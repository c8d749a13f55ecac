#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/error.hpp"
#include "base/unique_fd.hpp"
#include "master/uv/loop.hpp"
#include "spawn/spawner.hpp"

namespace liveswap::master {

// The start of a keeper, which goes on as no child of this process: the program makes its socket in the state
// directory, forks, and exits with 0. That takes some milliseconds; 5 s later the program is killed, and the
// start has failed.
//
// Meanwhile this process is no child subreaper, since it would become the parent of the forked process.
// Processes that workers leave in that time become children of init.
class KeeperStart {
 public:
  // Gets the connection to the keeper. Called once, on the loop; may destroy the KeeperStart.
  using Done = std::function<void(Result<UniqueFd>)>;

  // An error: the program cannot be executed.
  static Result<std::unique_ptr<KeeperStart>> begin(uv_loop_t& loop, const std::string& program,
                                                    const std::string& state_dir, Done done);
  KeeperStart(const KeeperStart&) = delete;
  KeeperStart& operator=(const KeeperStart&) = delete;
  // Kills the program if it has not ended. Blocks for at most 2 s.
  ~KeeperStart();

 private:
  // While it exists, this process is no child subreaper.
  class NoSubreaper {
   public:
    NoSubreaper();
    NoSubreaper(const NoSubreaper&) = delete;
    NoSubreaper& operator=(const NoSubreaper&) = delete;
    ~NoSubreaper();

   private:
    int before_ = 0;
  };

  KeeperStart(uv_loop_t& loop, std::string program, Done done);
  void watch();
  void kill();
  bool reap(int& status);
  void on_ended();

  std::string program_;
  Done done_;
  NoSubreaper none_;
  uv_loop_t& loop_;
  UniqueFd link_;
  spawn::Child child_;
  Timer limit_;
  std::unique_ptr<Poll> ended_;
  bool is_late_ = false;
};

}  // namespace liveswap::master
