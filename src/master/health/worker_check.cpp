#include "master/health/worker_check.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/log.hpp"
#include "master/health/probe_command.hpp"
#include "master/health/probe_connection.hpp"

namespace liveswap::master {

using ProbeKind = config::HealthProbe::Kind;

WorkerCheck::WorkerCheck(uv_loop_t& loop, const Plan& plan, Handlers handlers, Milliseconds next_within)
    : loop_(loop), plan_(plan), handlers_(std::move(handlers)), next_(loop), limit_(loop) {
  next_.on_due([this, next_within] { plan_.check.heartbeat ? beat(next_within) : ask(); });
  limit_.on_due([this] { on_limit(); });
  next_.start(Milliseconds(0));
}

// The time is that of the worker's start: a reload that changes the interval reaches workers one by one.
void WorkerCheck::beat(Milliseconds next_within) {
  if (!plan_.check.heartbeat || next_within <= Milliseconds(0)) return;
  next_within_ = next_within;
  start_limit(next_within + plan_.limit);
  if (!std::exchange(is_known_, true)) handlers_.answered();
}

Milliseconds WorkerCheck::since_begin() const { return Milliseconds(uv_now(&loop_)) - began_; }

void WorkerCheck::ask() {
  began_ = Milliseconds(uv_now(&loop_));
  if (plan_.check.probe.kind == ProbeKind::run) return run();
  start_limit(plan_.limit);
  if (number_ != 0) return;  // not accepted yet
  const auto way = handlers_.way();
  if (!way) return stop(way.error().text);
  pair_.emplace(loop_, way->family,
                [this, way = *way](Result<ConnectionPair::Ends> ends) { hand_over(std::move(ends), way); });
}

void WorkerCheck::run() {
  spawn::Request request = plan_.commands;
  const auto variables = handlers_.variables();
  request.environment.insert(request.environment.begin(), variables.begin(), variables.end());
  probe_ = std::make_unique<ProbeCommand>(
      loop_, request, plan_.check.probe.command, plan_.limit, [this](const std::string& failure) {
        if (failure.empty()) answered();
        else unanswered(failure, std::max(Milliseconds(0), plan_.limit - since_begin()));
      });
}

// Without a descriptor or a port the master cannot ask: that says nothing about the worker.
void WorkerCheck::not_asked(const std::string& why) {
  log::seldom({"liveness checks"}, log::Level::warning, "a worker could not be asked whether it answers: {}",
              why);
  limit_.stop();
  pair_.reset();
  next_.start(plan_.interval);
}

void WorkerCheck::hand_over(Result<ConnectionPair::Ends> ends, const Way& way) {
  if (!ends) return not_asked(ends.error().text);
  pair_.reset();
  number_ = handlers_.send(way, ends->server.get());
  is_taken_ = false;
  if (number_ == 0) return;  // the worker does not read its channel: on_limit()
  if (plan_.check.probe.kind == ProbeKind::connect) {
    client_ = std::move(ends->client);
    return;
  }
  probe_ = std::make_unique<ProbeConnection>(
      loop_, plan_.check.probe, std::move(ends->client), way.address, [this](const std::string& failure) {
        if (failure.empty()) answered();
        else unanswered(failure, std::max(Milliseconds(0), plan_.limit - since_begin()));
      });
}

void WorkerCheck::taken(std::int32_t number, Taken what) {
  if (number != number_ || number_ == 0) return;
  switch (what) {
    case Taken::accepted:
      is_taken_ = true;
      if (plan_.check.probe.kind == ProbeKind::connect) answered();
      return;
    case Taken::unseen:  // or hung before its first accept()
      if (handlers_.can_be_asked()) return drop_connection();
      return stop(
          "the application accepts connections in a way that the worker host does not see (system calls of "
          "its own, io_uring, a forked process)");
    // Not yet, or not any more: another generation has it. That says nothing about the worker.
    case Taken::not_held: drop_connection(); return not_asked("it does not have the listener");
    case Taken::no_room:  // nor for one of a client: the check is unanswered when the limit has passed
      drop_connection();
      has_room_ = false;
      return;
  }
}

void WorkerCheck::start_limit(Milliseconds span) {
  limit_at_ = Milliseconds(uv_now(&loop_)) + span;
  limit_.start(span);
}

void WorkerCheck::on_limit() {
  const auto ms = plan_.limit.count();
  if (Milliseconds(uv_now(&loop_)) - limit_at_ > plan_.limit / 2) return start_limit(plan_.limit);
  if (plan_.check.heartbeat) {
    start_limit(plan_.limit);
    is_known_ = false;
    return handlers_.unanswered(
        fmt::format("no heartbeat within {} ms", (next_within_ + plan_.limit).count()));
  }
  if (pair_)
    return not_asked(fmt::format("a connection over the loopback interface was not made within {} ms", ms));
  if (!has_room_) return unanswered("it has no free descriptor for a connection", Milliseconds(0));
  if (is_taken_ || number_ == 0)
    return unanswered(fmt::format("no answer within {} ms", ms), Milliseconds(0));
  // The connection stays where it is, and may still be accepted.
  is_known_ = false;
  next_.start(Milliseconds(0));
  handlers_.unanswered(fmt::format("a connection was not accepted within {} ms", ms));
}

// The handler is called last, because it may destroy this object.
void WorkerCheck::answered() {
  limit_.stop();
  drop_connection();
  next_.start(plan_.interval - since_begin());
  if (!std::exchange(is_known_, true)) handlers_.answered();
}

void WorkerCheck::unanswered(const std::string& why, Milliseconds again) {
  limit_.stop();
  is_known_ = false;
  drop_connection();
  next_.start(again);
  handlers_.unanswered(why);
}

void WorkerCheck::stop(const std::string& why) {
  limit_.stop();
  next_.stop();
  drop_connection();
  is_stopped_ = true;
  handlers_.cannot_be_asked(why);
}

void WorkerCheck::drop_connection() {
  pair_.reset();
  probe_.reset();
  client_.reset();
  number_ = 0;
  is_taken_ = false;
  has_room_ = true;
}

}  // namespace liveswap::master
