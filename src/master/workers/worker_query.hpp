#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>

#include "master/uv/loop.hpp"

namespace liveswap::master {

// Asks several workers and gathers their answers. Done when each has answered or ended, or the limit has
// passed: a worker need not answer.
class WorkerQuery {
 public:
  using Worker = std::uint64_t;
  using Answers = std::map<Worker, std::uint64_t>;  // only of workers that answered
  using Done = std::function<void(const Answers&)>;

  // `done` is called once, never from within the constructor, and may destroy the query.
  WorkerQuery(uv_loop_t& loop, std::set<Worker> workers, Milliseconds limit, Done done)
      : waiting_(std::move(workers)), done_(std::move(done)), timer_(loop) {
    timer_.start(waiting_.empty() ? Milliseconds{0} : limit, [this] { finish(); });
  }

  void answer(Worker worker, std::uint64_t value) {
    if (waiting_.erase(worker) == 0) return;
    answers_[worker] = value;
    if (waiting_.empty()) finish();
  }
  void forget(Worker worker) {
    if (waiting_.erase(worker) != 0 && waiting_.empty()) finish();
  }

 private:
  void finish() {
    timer_.stop();
    if (const auto done = std::exchange(done_, nullptr)) done(answers_);
  }

  std::set<Worker> waiting_;
  Answers answers_;
  Done done_;
  Timer timer_;
};

}  // namespace liveswap::master
