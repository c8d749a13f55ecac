#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>

#include "base/file.hpp"
#include "base/log.hpp"
#include "config/values.hpp"
#include "config/wishes.hpp"
#include "json/fields.hpp"
#include "json/parse.hpp"
#include "master/master.hpp"
#include "master/workers/memory.hpp"
#include "release/committed.hpp"

// What an upgrade needs of the world beside workers: its release prepared, committed and found again, its
// sockets flipped, memory measured, what nobody needs any more removed.
namespace liveswap::master {
namespace {

// Connections that nobody accepts, and handshakes that never end, do not hold up a flip for longer.
constexpr Milliseconds flip_limit{3'000};
constexpr Milliseconds flip_step{5};

// Until a record that could not be written is tried again: a full disk has room when somebody has made some.
constexpr Milliseconds first_pause{1'000};
constexpr Milliseconds longest_pause{60'000};

}  // namespace

rollout::Amount amount_of(const Amount& amount) { return {amount.value, amount.percent}; }

rollout::Pace pace_of(const Options& options) {
  rollout::Pace pace;
  pace.batch = options.batch;
  pace.surge = amount_of(options.surge);
  pace.canary = amount_of(options.canary);
  pace.bake = options.bake;
  pace.probation = options.probation;
  pace.flip = options.flip;
  return pace;
}

void Master::on_upgrade(rollout::RequestId request, const protocol::Command& command) {
  const std::string path =
      command.value.empty() ? "" : absolute_path(command.value, command.cwd.empty() ? home_ : command.cwd);
  const auto wished = config::with_wishes(config::for_forks(options_, engine_.fork_count()), command.wishes);
  if (!wished) return refuse(request, protocol::Refusal::usage, wished.error().text);
  if (path.find('\n') != std::string::npos)
    return refuse(request, protocol::Refusal::usage, "the path contains a line break");
  log::info("upgrade to {} was asked for", path.empty() ? "what is at the current path" : path);
  Pending& pending = pending_.at(request);
  pending.detach = command.detach;
  pending.asked = path;
  rollout::UpgradeRequest wish;
  wish.path = path;
  wish.pace = pace_of(wished->options);
  wish.queue = wished->queue;
  perform(engine_.upgrade(now(), request, wish));
}

// How a rollback goes. Proven before: as many slots at once as the surge allows, and nothing to wait for.
Options Master::instantly() const {
  Options options = config::for_forks(options_, engine_.fork_count());
  options.batch = engine_.fork_count();
  options.canary = {};
  options.probation = Milliseconds{0};
  return options;
}

void Master::on_rollback(rollout::RequestId request, const protocol::Command& command) {
  const auto wished = config::with_wishes(instantly(), command.wishes);
  if (!wished) return refuse(request, protocol::Refusal::usage, wished.error().text);
  Pending& pending = pending_.at(request);
  pending.detach = command.detach;
  pending.asked = command.value;
  rollout::UpgradeRequest wish;
  wish.pace = pace_of(wished->options);
  wish.overtake = true;
  find_earlier(request, command.value, std::move(wish));
}

// The release before is mostly known here; for everything else a process reads the history. What happens
// meanwhile is dealt with by the engine, which gets the rollback only then: stop refuses it, and it ends an
// upgrade that has begun.
void Master::find_earlier(rollout::RequestId request, const std::string& which,
                          rollout::UpgradeRequest wish) {
  // It may be about to remove what is going to be asked for.
  if (collection_) cancel_task(collection_);
  const auto own = open_receipts_.committed(options_.keep_releases + 1);
  const std::string current = engine_.release().id;
  if (which.empty())
    for (const auto& one : own)
      if (one.id != current) return roll_back(request, std::move(wish), {one.path, one.id});
  std::vector<std::string> words{"earlier", options_.state_dir, std::to_string(options_.keep_releases + 1),
                                 current, which};
  for (const auto& one : own) words.push_back(one.id);
  resolver_.ask(std::move(words), [this, request, wish, own](const Reader::Reply& reply) {
    answer_or_give_up(request, [&] {
      if (reply.result.kind != Task::Result::Kind::done) return refuse_unread(request, reply.result);
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
    return refuse(
        request, protocol::Refusal::failed,
        fmt::format("release {} ({}) is not in the store any more, which keeps the last {} (--keep-releases)",
                    release.id.substr(0, 12), release.path, options_.keep_releases));
  log::info("rollback to {} (release {}) was asked for", release.path, release.id.substr(0, 12));
  wish.release = release;
  wish.path = release.path;
  if (is_sealed(release)) return perform(engine_.upgrade(now(), request, wish));
  verify(release, true, [this, request, wish](const rollout::Checked& found) {
    answer_or_give_up(request, [&] {
      if (!found.sound()) return refuse(request, protocol::Refusal::failed, found.text + way_to(found));
      rollout::UpgradeRequest sound = wish;
      sound.remark = found.text;
      perform(engine_.upgrade(now(), request, sound));
    });
  });
}

// The probes are asked first: what the old release fails is not held against the new one.
void Master::carry_out(const rollout::Prepare& command) {
  carry_out(rollout::CancelPrepare{});  // of the upgrade before, where that was cut off
  if (options_.health.empty() || engine_.generation() == 0) return begin_preparation(command.path);
  unprepared_ = command.path;
  prober_.start(probe_connections(engine_.fork_count()));
}

void Master::begin_preparation(const std::string& value) {
  // It may be about to remove what is going to be asked for.
  if (collection_) cancel_task(collection_);
  const bool start = engine_.generation() == 0;
  preparation_ = std::make_unique<Preparation>(
      loop_, tools_, value.empty() ? engine_.release().path : value,
      start ? std::nullopt : std::optional(value), [this](const Preparation::Outcome& release) {
        const auto ended = std::move(preparation_);
        guarded([&] {
          if (release) note_seal(*release, ended->seal());
          if (release) return perform(engine_.prepared(now(), *release, ended->remark()));
          const auto& failure = release.error();
          perform(failure.unfit ? engine_.unfit(now(), failure.text)
                                : engine_.prepare_failed(now(), failure.text));
        });
      });
}

void Master::carry_out(const rollout::CancelPrepare&) {
  unprepared_.reset();
  prober_.cancel();
  if (preparation_) preparation_->cancel(dying_);
  preparation_.reset();
}

void Master::cancel_task(std::unique_ptr<Task>& task) {
  dying_.push_front(std::move(task));
  const auto place = dying_.begin();
  (*place)->cancel([this, place] { dying_.erase(place); });
}

void Master::carry_out(const rollout::Commit& command) {
  if (auto* receipt = upgrade_receipt()) receipt->phase(now(), "committing");
  mend_files();
  const rollout::Release release = command.release;
  const auto written = record(release);
  if (written) {
    note_committed(release, engine_.release(), engine_.upgrading().value_or(0));
    return perform(engine_.committed(now()));
  }
  const rollout::Release before = engine_.release();
  const auto request = engine_.upgrading().value_or(0);
  perform(engine_.commit_failed(now(), written.error().text));
  if (engine_.release() != release) return;
  // A rollback, which goes on without its record.
  note_committed(release, before, request);
  record_later(written.error().text, first_pause);
}

// `request` went from `before` to `release`.
void Master::note_committed(const rollout::Release& release, const rollout::Release& before,
                            rollout::RequestId request) {
  const auto it = pending_.find(request);
  const bool back = it != pending_.end() && it->second.verb == protocol::Verb::rollback;
  open_receipts_.committed(release, back ? before.id : "");
  forget_falls(request);
}

Result<void> Master::record(const rollout::Release& release) {
  auto written = release::commit(options_.head, options_.state_dir, {release.path, release.id});
  if (!written) return written;
  record_timer_.stop();
  record_trouble_.clear();
  return written;
}

// Each attempt may block the loop for as long as the disk takes to fail: so they become rare.
void Master::record_later(const std::string& trouble, Milliseconds pause) {
  record_trouble_ = trouble;
  record_timer_.start(pause, [this, pause] {
    const auto written = record(engine_.release());
    if (!written) return record_later(written.error().text, std::min(pause * 2, longest_pause));
    log::info("generation {}: recorded, as could not be done before", engine_.generation());
  });
}

// The last chance before the master ends; what it says then, or nothing.
std::string Master::record_at_last() {
  if (record_trouble_.empty()) return "";
  const auto written = record(engine_.release());
  if (written) return "";
  return fmt::format("the next start begins with the release before {} ({}): {}", engine_.release().path,
                     engine_.release().id.substr(0, 12), written.error().text);
}

void Master::carry_out(const rollout::Flip&) {
  flip_began_ = now();
  if (const auto flipped = listeners_.flip(); flipped)
    watch_flip();
  else
    perform(engine_.flip_failed(now(), flipped.error().text));
}

// Until nothing waits in the sockets that get no connections any more.
void Master::watch_flip() {
  if (listeners_.waiting_in_old() == 0 || now() - flip_began_ >= flip_limit)
    perform(engine_.flipped(now()));
  else
    flip_timer_.start(flip_step, [this] { watch_flip(); });
}

void Master::carry_out(const rollout::Measure&) {
  std::map<rollout::WorkerId, std::uint64_t> bytes;
  for (const auto& [id, worker] : engine_.workers()) {
    const pid_t pid = pool_.pid(id);
    if (const auto pss = pid ? pss_of(pid) : std::nullopt) bytes[id] = *pss;
  }
  perform(engine_.measured(now(), bytes));
}

// Snapshots that nobody runs and that are too old to go back to, and old receipts.
void Master::collect() {
  if (collection_ || preparation_ || !resolver_.is_idle() || !verifier_.is_idle() || engine_.under_way())
    return;
  std::set<std::string> keep{engine_.release().id};
  for (const auto& [id, worker] : engine_.workers()) keep.insert(worker.release.id);
  const auto own = open_receipts_.committed(options_.keep_releases);
  for (const auto& one : own) keep.insert(one.id);
  forget_seals(keep);
  SpawnRequest request = tools_.store;
  const auto more = options_.keep_releases - own.size();
  request.arguments = {"liveswap-store", "collect", options_.state_dir, std::to_string(more)};
  request.arguments.insert(request.arguments.end(), keep.begin(), keep.end());
  collection_ = std::make_unique<Task>(loop_, "store", std::move(request), options_.check_limit,
                                       [this](const Task::Result& result) {
                                         const auto ended = std::move(collection_);
                                         if (result.kind != Task::Result::Kind::done)
                                           log::warning("old releases could not be removed: {}", result.text);
                                       });
}

// The operator is told when the file at its path is another one by now.
void Master::compare(const rollout::Release& committed) {
  SpawnRequest request = tools_.store;
  request.arguments = {"liveswap-store", "hash", committed.path};
  comparison_ = std::make_unique<Task>(
      loop_, "store", std::move(request), options_.check_limit,
      [this, committed](const Task::Result& result) {
        const auto ended = std::move(comparison_);
        const bool read = result.kind == Task::Result::Kind::done;
        if (!read || json::text(json::parse_or_null(result.text), "id") != committed.id) {
          compared_ = fmt::format(
              "running release {}, as it was committed; what is at {} now is another one ({}): "
              "`liveswap upgrade` takes it",
              committed.id.substr(0, 12), committed.path, read ? "rebuilt since" : result.text);
          notice(compared_);
        }
        tell_ready();
      });
}

}  // namespace liveswap::master
