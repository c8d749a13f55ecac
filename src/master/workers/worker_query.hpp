#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>

#include "master/uv/loop.hpp"

namespace liveswap::master {

// A question to several workers whose answers are gathered: ends when each has answered or gone, or when the
// time is up. Workers are not trusted to answer at all.
class WorkerQuery {
 public:
  using Worker = std::uint64_t;
  using Answers = std::map<Worker, std::uint64_t>;  // of those that answered
  using Done = std::function<void(const Answers&)>;

  // `done` is called once, never from within the constructor; it may destroy the inquiry.
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
