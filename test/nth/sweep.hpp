#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "clients.hpp"
#include "master_run.hpp"

namespace nth {

// Makes the n-th call of a master fail, for each n and in each step of its life. After each failure all must
// be well: the master lives, answers and runs, knows each of its children, and no request was lost.
class Sweep {
 public:
  struct Settings {
    MasterRun::Place place;
    unsigned kinds = BOARD_ALLOCATIONS;
    unsigned most = 0;  // the number of n that are tried, spread evenly; 0: all
    unsigned error = 0;
    std::string only;  // the name of one step; empty: all
  };
  explicit Sweep(const Settings& settings);

  // Prints its progress. True: nothing was found.
  bool run();

 private:
  struct Step {
    std::string name;
    Json command;
    unsigned share;         // share of `most`, in per cent
    bool in_store = false;  // liveswap-store makes the failing call
  };
  struct Figures {
    unsigned tried = 0;
    unsigned reached = 0;  // the n-th call was made, and failed
    unsigned refused = 0;  // the command was answered with an error, or not at all
  };
  enum class Times { once, for_ever };

  bool is_wanted(const std::string& step) const { return settings_.only.empty() || settings_.only == step; }
  void sweep_step(const Step& step, Times times);
  void sweep_start_and_stop(Times times);
  void try_command(const Step& step, Times times, std::uint64_t n, Figures& figures);
  void try_start_and_stop(Times times, std::uint64_t start_n, std::uint64_t stop_n, Figures& figures);
  bool stop(const std::optional<Failure>& failure, Times times, const std::string& where);
  void look_after(const std::string& where);
  void look_after_reload(const std::string& where, const std::optional<Json>& answer);
  void restart();
  void find(const std::string& where, const std::string& what);
  std::vector<std::uint64_t> chosen(std::uint64_t calls, unsigned share) const;
  Failure failure(std::uint64_t n, Times times) const;
  void print(const std::string& name, Times times, std::uint64_t calls, const Figures& figures) const;
  // An upgrade alternates between two releases; where the store is tried, it takes a new one each time. A
  // reload finds another environment in the file each time.
  Json command_of(const Step& step);
  Board& board_of(const Step& step) { return step.in_store ? store_ : board_; }

  Settings settings_;
  Board board_;
  Board store_;
  MasterRun master_;
  std::unique_ptr<Clients> clients_;
  int version_ = 1;
  unsigned findings_ = 0;
  unsigned tried_ = 0;
};

}  // namespace nth
