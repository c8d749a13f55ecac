#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <utility>

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

// The queries that are under way, by the number that goes to the workers and comes back with their answers.
class WorkerQueries {
 public:
  using Number = std::int32_t;  // > 0
  using Ask = std::function<void(WorkerQuery::Worker, Number)>;

  explicit WorkerQueries(uv_loop_t& loop) : loop_(loop) {}

  // Begins a query, and has `send` ask each of the workers.
  void ask(const std::set<WorkerQuery::Worker>& workers, Milliseconds limit, const Ask& send,
           WorkerQuery::Done done) {
    const Number number = last_ = last_ == INT32_MAX ? 1 : last_ + 1;
    queries_[number] = std::make_unique<WorkerQuery>(
        loop_, workers, limit, [this, number, done = std::move(done)](const WorkerQuery::Answers& answers) {
          const auto owner = queries_.extract(number);
          done(answers);
        });
    for (const auto worker : workers) send(worker, number);
  }
  // The last number, for the next image of the program, which must not take an answer to this one for its
  // own.
  Number last() const { return last_; }
  void resume_after(Number last) { last_ = last; }
  void answer(Number number, WorkerQuery::Worker worker, std::uint64_t value) {
    if (const auto it = queries_.find(number); it != queries_.end()) it->second->answer(worker, value);
  }
  // The worker has gone, and will not answer.
  void forget(WorkerQuery::Worker worker) {
    for (auto it = queries_.begin(); it != queries_.end();) (it++)->second->forget(worker);
  }

 private:
  uv_loop_t& loop_;
  std::map<Number, std::unique_ptr<WorkerQuery>> queries_;
  Number last_ = 0;
};

}  // namespace liveswap::master
