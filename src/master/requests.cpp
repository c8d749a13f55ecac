#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/file.hpp"
#include "base/log.hpp"
#include "base/text.hpp"
#include "config/values.hpp"
#include "config/wishes.hpp"
#include "json/fields.hpp"
#include "json/parse.hpp"
#include "master/master.hpp"
#include "master/settings.hpp"
#include "master/setup.hpp"

namespace liveswap::master {
namespace {

// The control thread of a worker host answers at once. A worker that gives no answer in this time is stopped
// or broken.
constexpr Milliseconds message_limit{2'000};
constexpr Milliseconds count_limit{200};

}  // namespace

void Master::on_command(ConnectionId connection, const protocol::Command& command) {
  rollout::RequestId request = 0;
  const auto asked = [&] {
    request =
        requests_.open({connection, command.verb, false, {}, requests_.server()->peer(connection), now()});
    begin(request, command);
  };
  // After an exception: the work that has begun ends by itself, and the client gets a fixed error line.
  if (!guarded(asked)) requests_.give_up(request, connection);
}

// Runs the later part of a command. After an exception the client gets a fixed error line.
void Master::answer_or_give_up(rollout::RequestId request, const std::function<void()>& work) {
  if (!guarded(work)) make_up(rollout::Answer{request, rollout::Verdict::failed, {}});
}

void Master::begin(rollout::RequestId request, const protocol::Command& command) {
  switch (command.verb) {
    case protocol::Verb::upgrade: on_upgrade(request, command); break;
    case protocol::Verb::rollback: on_rollback(request, command); break;
    case protocol::Verb::promote: perform(engine_.promote(now(), request)); break;
    case protocol::Verb::abort: perform(engine_.abort(now(), request)); break;
    case protocol::Verb::kill: perform(engine_.kill(now(), request)); break;
    case protocol::Verb::die: perform(engine_.stop(now(), request, true)); break;
    case protocol::Verb::stop: perform(engine_.stop(now(), request, false)); break;
    case protocol::Verb::message: on_message(request, command.value); break;
    case protocol::Verb::forks: on_forks(request, command); break;
    case protocol::Verb::reload: on_reload(request, command); break;
    case protocol::Verb::status: on_status(request); break;
    case protocol::Verb::reexec: on_reexec(request, command); break;
    case protocol::Verb::history: history_answers_.list(request, command.value); break;
    case protocol::Verb::receipt: history_answers_.receipt(request, command.value); break;
  }
}

void Master::on_upgrade(rollout::RequestId request, const protocol::Command& command) {
  const std::string path =
      command.value.empty() ? "" : absolute_path(command.value, command.cwd.empty() ? home_ : command.cwd);
  const auto wished = config::with_wishes(config::for_forks(options_, engine_.fork_count()), command.wishes);
  if (!wished) return requests_.refuse(request, protocol::Refusal::usage, wished.error().text);
  if (path.find('\n') != std::string::npos)
    return requests_.refuse(request, protocol::Refusal::usage, "the path contains a line break");
  log::info("upgrade to {} was asked for", path.empty() ? "what is at the current path" : path);
  auto& pending = *requests_.find(request);
  pending.detach = command.detach;
  pending.asked = path;
  rollout::UpgradeRequest wish;
  wish.path = path;
  wish.pace = pace_of(wished->options);
  wish.queue = wished->queue;
  perform(engine_.upgrade(now(), request, wish));
}

// The options for a rollback. The release has served before, so there is no canary and no probation, and all
// slots are replaced at once, as far as the surge allows.
Options Master::instantly() const {
  Options options = config::for_forks(options_, engine_.fork_count());
  options.batch = engine_.fork_count();
  options.canary = {};
  options.probation = Milliseconds{0};
  return options;
}

void Master::on_rollback(rollout::RequestId request, const protocol::Command& command) {
  const auto wished = config::with_wishes(instantly(), command.wishes);
  if (!wished) return requests_.refuse(request, protocol::Refusal::usage, wished.error().text);
  auto& pending = *requests_.find(request);
  pending.detach = command.detach;
  pending.asked = command.value;
  rollout::UpgradeRequest wish;
  wish.pace = pace_of(wished->options);
  wish.overtake = true;
  find_earlier(request, command.value, std::move(wish));
}

// Finds the release of a rollback. If the request names none, this is the previously committed release, if
// this master has committed it. Otherwise a liveswap-store process reads the history. The engine gets the
// rollback only after that: a stop that has begun meanwhile refuses the rollback; an upgrade that has begun
// is ended by it.
void Master::find_earlier(rollout::RequestId request, const std::string& which,
                          rollout::UpgradeRequest wish) {
  store_tasks_.stop_collecting();
  const auto own = committed_.newest(options_.keep_releases + 1);
  const std::string current = engine_.release().id;
  if (which.empty())
    for (const auto& one : own)
      if (one.id != current) return roll_back(request, std::move(wish), {one.path, one.id});
  std::vector<std::string> words{"earlier", options_.state_dir, std::to_string(options_.keep_releases + 1),
                                 current, which};
  for (const auto& one : own) words.push_back(one.id);
  resolver_.ask(std::move(words), [this, request, wish, own](const StoreQueries::Reply& reply) {
    answer_or_give_up(request, [&] {
      if (reply.result.kind != Task::Result::Kind::done)
        return history_answers_.refuse(request, reply.result);
      const auto found = json::parse_or_null(reply.result.text);
      rollout::Release release{json::text_or_empty(found, "path"), json::text_or_empty(found, "id")};
      for (const auto& one : own)
        if (one.id == release.id && release.path.empty()) release.path = one.path;
      roll_back(request, wish, release);
    });
  });
}

void Master::roll_back(rollout::RequestId request, rollout::UpgradeRequest wish,
                       const rollout::Release& release) {
  if (!store_.has(release.id, release.path))
    return requests_.refuse(
        request, protocol::Refusal::failed,
        fmt::format("release {} ({}) is not in the store any more, which keeps the last {} (--keep-releases)",
                    short_id(release.id), release.path, options_.keep_releases));
  log::info("rollback to {} (release {}) was asked for", release.path, short_id(release.id));
  wish.release = release;
  wish.path = release.path;
  // A script's runtime may have changed, which no seal of the release shows.
  const bool is_known = soundness_.is_sealed(release) && !known_runtimes_.has(release.id);
  if (is_known) return perform(engine_.upgrade(now(), request, wish));
  soundness_.log_hashing(release);
  soundness_.examine(release, true, [this, request, wish](const rollout::Examined& found) {
    answer_or_give_up(request, [&] {
      if (!found.sound())
        return requests_.refuse(request, protocol::Refusal::failed, found.text + rollout::way_out(found));
      rollout::UpgradeRequest sound = wish;
      sound.remark = found.text;
      perform(engine_.upgrade(now(), request, sound));
    });
  });
}

void Master::on_forks(rollout::RequestId request, const protocol::Command& command) {
  const auto count = config::parse_forks(command.value);
  if (!count) {
    requests_.refuse(request, protocol::Refusal::usage, "forks: " + count.error().text);
    return;
  }
  const unsigned slots = *count == 0 ? usable_cpus() : *count;
  if (const auto set = set_forks(request, slots); !set)
    requests_.refuse(request, protocol::Refusal::failed, set.error().text);
}

// Has the engine change the number of slots, and answer the request. An error: nothing has begun.
Result<void> Master::set_forks(rollout::RequestId request, unsigned slots) {
  if (!engine_.under_way() && slots > engine_.fork_count()) {
    if (auto grown = listeners_.grow(slots); !grown) return grown;
    steered_ = slots;
  }
  perform(engine_.forks(now(), request, slots));
  return {};
}

void Master::on_message(rollout::RequestId request, const std::string& text) {
  if (text.size() >= LIVESWAP_TEXT_MAX) {
    requests_.refuse(request, protocol::Refusal::usage, "a message has at most 65535 bytes");
    return;
  }
  std::set<rollout::WorkerId> workers;
  for (const auto& [id, worker] : engine_.workers())
    if (worker.state != rollout::WorkerState::draining) workers.insert(id);
  const std::size_t count = workers.size();
  const auto send = [&](rollout::WorkerId id, WorkerQueries::Number number) {
    if (!pool_.send_message(id, number, text)) queries_.answer(number, id, 0);
  };
  queries_.ask(workers, message_limit, send, [this, request, count](const WorkerQuery::Answers& answers) {
    const auto delivered =
        std::count_if(answers.begin(), answers.end(), [](const auto& one) { return one.second == 1; });
    requests_.answer(request, protocol::ok_line("message", {{"delivered", delivered}, {"workers", count}}));
  });
}

// A program that embeds the master may keep SIGCHLD for itself (Options::reap_children).
void Master::on_status(rollout::RequestId request) {
  pool_.look_for_stops();
  std::set<rollout::WorkerId> workers;
  for (const auto& [id, worker] : engine_.workers())
    if (pool_.pid(id)) workers.insert(id);
  count_connections(workers, count_limit, [this, request](const WorkerQuery::Answers& answers) {
    requests_.answer(request, protocol::ok_line("status", {{"status", status_.json(answers)}}));
  });
}

void Master::count_connections(const std::set<rollout::WorkerId>& workers, Milliseconds limit,
                               WorkerQuery::Done done) {
  const auto send = [this](rollout::WorkerId id, WorkerQueries::Number number) {
    pool_.count_connections(id, number);
  };
  queries_.ask(workers, limit, send, std::move(done));
}

}  // namespace liveswap::master
