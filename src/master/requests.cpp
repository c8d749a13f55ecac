#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>

#include "base/file.hpp"
#include "base/log.hpp"
#include "config/values.hpp"
#include "master/master.hpp"
#include "master/setup.hpp"

namespace liveswap::master {
namespace {

// A worker host answers at once, from a thread of its own; one that does not is stopped or broken.
constexpr Milliseconds message_limit{2'000};
constexpr Milliseconds count_limit{200};

}  // namespace

void Master::on_command(ConnectionId connection, const protocol::Command& command) {
  const rollout::RequestId request = ++last_request_;
  const auto asked = [&] {
    pending_[request] = {connection, command.verb, false, {}, control_->peer(connection), now()};
    begin(request, command);
  };
  if (guarded(asked)) return;
  // Cut off by an exception: what has begun ends by itself, and the client is told that nobody will tell it.
  pending_.erase(request);
  control_->give_up(connection);
}

// For the part of a command that is done later.
void Master::answer_or_give_up(rollout::RequestId request, const std::function<void()>& work) {
  if (!guarded(work)) make_up(rollout::Answer{request, rollout::Verdict::failed, {}});
}

void Master::begin(rollout::RequestId request, const protocol::Command& command) {
  switch (command.verb) {
    case protocol::Verb::upgrade:
      on_upgrade(request, command);
      break;
    case protocol::Verb::rollback:
      on_rollback(request, command);
      break;
    case protocol::Verb::promote:
      perform(engine_.promote(now(), request));
      break;
    case protocol::Verb::abort:
      perform(engine_.abort(now(), request));
      break;
    case protocol::Verb::kill:
      perform(engine_.kill(now(), request));
      break;
    case protocol::Verb::die:
      perform(engine_.stop(now(), request, true));
      break;
    case protocol::Verb::stop:
      perform(engine_.stop(now(), request, false));
      break;
    case protocol::Verb::message:
      on_message(request, command.value);
      break;
    case protocol::Verb::forks:
      on_forks(request, command);
      break;
    case protocol::Verb::status:
      on_status(request);
      break;
    case protocol::Verb::history:
      on_history(request, command.value);
      break;
    case protocol::Verb::receipt:
      on_receipt(request, command.value);
      break;
  }
}

void Master::on_forks(rollout::RequestId request, const protocol::Command& command) {
  const auto count = config::parse_forks(command.value);
  if (!count) {
    refuse(request, protocol::Refusal::usage, "forks: " + count.error().text);
    return;
  }
  const unsigned slots = *count == 0 ? usable_cpus() : *count;
  if (!engine_.under_way() && slots > engine_.fork_count()) {
    if (auto grown = listeners_.grow(slots); !grown) {
      refuse(request, protocol::Refusal::failed, grown.error().text);
      return;
    }
    steered_ = slots;
  }
  perform(engine_.forks(now(), request, slots));
}

void Master::on_message(rollout::RequestId request, const std::string& text) {
  if (text.size() >= LIVESWAP_TEXT_MAX) {
    refuse(request, protocol::Refusal::usage, "a message has at most 65535 bytes");
    return;
  }
  std::set<rollout::WorkerId> workers;
  for (const auto& [id, worker] : engine_.workers())
    if (worker.state != rollout::WorkerState::draining) workers.insert(id);
  const std::size_t count = workers.size();
  const auto question =
      ask(workers, message_limit, [this, request, count](const WorkerQuery::Answers& answers) {
        const auto delivered =
            std::count_if(answers.begin(), answers.end(), [](const auto& one) { return one.second == 1; });
        answer(request, protocol::ok_line("message", {{"delivered", delivered}, {"workers", count}}));
      });
  for (const auto id : workers)
    if (!pool_.send_message(id, question, text)) queries_.at(question)->answer(id, 0);
}

void Master::on_status(rollout::RequestId request) {
  std::set<rollout::WorkerId> workers;
  for (const auto& [id, worker] : engine_.workers())
    if (pool_.pid(id)) workers.insert(id);
  const auto question = ask(workers, count_limit, [this, request](const WorkerQuery::Answers& answers) {
    answer(request, protocol::ok_line("status", {{"status", status(answers)}}));
  });
  for (const auto id : workers) pool_.count_connections(id, question);
}

std::int32_t Master::ask(std::set<rollout::WorkerId> workers, Milliseconds limit, WorkerQuery::Done done) {
  last_question_ = last_question_ == INT32_MAX ? 1 : last_question_ + 1;
  const auto question = last_question_;
  queries_[question] = std::make_unique<WorkerQuery>(
      loop_, std::move(workers), limit,
      [this, question, done = std::move(done)](const WorkerQuery::Answers& answers) {
        const auto owner = queries_.extract(question);
        done(answers);
      });
  return question;
}

void Master::answer(rollout::RequestId request, const std::string& line) {
  const auto it = pending_.find(request);
  if (it == pending_.end()) return;
  const ConnectionId connection = it->second.connection;
  pending_.erase(it);
  control_->answer(connection, line);
}

void Master::refuse(rollout::RequestId request, protocol::Refusal refusal, const std::string& text) {
  const auto it = pending_.find(request);
  if (it != pending_.end())
    answer(request, protocol::error_line(protocol::word(it->second.verb), refusal, text));
}

}  // namespace liveswap::master
