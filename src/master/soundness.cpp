#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/log.hpp"
#include "config/values.hpp"
#include "json/fields.hpp"
#include "json/parse.hpp"
#include "master/master.hpp"
#include "release/seal.hpp"

// Before a release runs, its bytes in the store have been hashed: when it was taken, or now, by liveswap-store. In between
// the seal tells that nobody has written to them. What differs is not run, and the nearest sound release serves.
namespace liveswap::master {
namespace {

using protocol::Json;

// Releases of this master's own that a process is told of, as words of its command line.
constexpr std::size_t own_limit = 16;

constexpr const char* not_started = "it was not started: its release was still being verified";

std::string short_id(const std::string& id) { return id.substr(0, 12); }

}  // namespace

bool Master::is_sealed(const rollout::Release& release) const {
  const auto it = seals_.find(release.id);
  if (it == seals_.end()) return false;
  const auto now = release::seal_of(store_.directory(release.id));
  return now && *now == it->second;
}

// `seal` may be empty: then it is verified before it runs.
void Master::note_seal(const std::string& id, const std::string& seal) {
  unsound_.erase(id);
  if (seal.empty())
    seals_.erase(id);
  else
    seals_[id] = seal;
}

// `done` is called later, on the loop, and must not throw.
void Master::verify(const rollout::Release& release, std::function<void(const rollout::Checked&)> done) {
  auto own = ledger_.committed(own_limit);
  std::erase_if(own, [&](const auto& one) { return one.id == release.id; });
  std::vector<std::string> words{"verify", options_.state_dir, ::geteuid() == 0 ? "1" : "0",
                                 std::to_string(options_.keep_releases + 1), engine_.release().id, release.id, release.path};
  for (const auto& one : own) words.insert(words.end(), {one.id, one.path});
  log::info("release {}: its bytes in the store are hashed before it runs", short_id(release.id));
  verifier_.ask(std::move(words), [this, release, own, done = std::move(done)](const Reader::Reply& reply) {
    rollout::Checked found{false, "no memory", {}};
    guarded([&] { found = checked(release, own, reply.result); });
    done(found);
  });
}

rollout::Checked Master::checked(const rollout::Release& release, const std::vector<release::Committed>& own,
                                 const Task::Result& result) {
  const bool answered = result.kind == Task::Result::Kind::done;
  const Json answer = answered ? json::parse_or_null(result.text) : Json();
  if (const auto seal = json::text(answer, "seal")) {
    note_seal(release.id, *seal);
    const auto mended = json::text_or_empty(answer, "mended");
    if (!mended.empty()) log::warning("release {}: {}", short_id(release.id), mended);
    return {true, mended, {}};
  }
  rollout::Checked found;
  const bool late = result.kind == Task::Result::Kind::late;
  found.text = answered ? json::text_or_empty(answer, "trouble")
                        : fmt::format("it could not be hashed: {}", late ? "it took longer than --check-limit" : result.text);
  seals_.erase(release.id);
  unsound_[release.id] = found.text;
  log::error("release {} ({}): {}", short_id(release.id), release.path, found.text);
  const auto& earlier = json::member(answer, "earlier");
  if (!earlier.is_object()) return found;
  found.earlier = rollout::Release{json::text_or_empty(earlier, "path"), json::text_or_empty(earlier, "id")};
  // JSON cannot say every path.
  for (const auto& one : own)
    if (one.id == found.earlier->id) found.earlier->path = one.path;
  note_seal(found.earlier->id, json::text_or_empty(earlier, "seal"));
  return found;
}

void Master::carry_out(const rollout::Spawn& command) {
  if (is_sealed(command.release)) return start_worker(command);
  auto& waiting = unstarted_[command.release.id];
  waiting.push_back({command, {}});
  if (waiting.size() > 1) return;
  // A worker that an exception leaves without a process is gone once its ready limit has passed.
  verify(command.release, [this, release = command.release](const rollout::Checked& found) {
    guarded([&] { on_checked(release, found); });
  });
}

// The first successor of a flip has the staged sockets made.
void Master::start_worker(const rollout::Spawn& command) {
  const auto staged = command.staged && !listeners_.staged() ? listeners_.stage() : Result<void>();
  if (staged)
    pool_.spawn(command);
  else
    perform(engine_.exited(now(), command.worker, {"spawn", staged.error().text, false}));
}

void Master::on_checked(const rollout::Release& release, const rollout::Checked& found) {
  const auto waiting = unstarted_.extract(release.id);
  if (waiting.empty()) return;
  for (const Unstarted& one : waiting.mapped()) {
    const auto worker = engine_.workers().find(one.order.worker);
    if (worker == engine_.workers().end()) continue;
    // What became of one may have had the engine send the others away.
    const bool is_wanted = worker->second.state == rollout::WorkerState::starting;
    if (!found.sound || !is_wanted) {
      perform(engine_.exited(now(), one.order.worker, {"open", found.sound ? not_started : found.text, !is_wanted}));
      continue;
    }
    start_worker(one.order);
    if (one.note) carry_out(*one.note);
  }
  if (!found.sound && !waiting.mapped().empty()) fall_back(release, found);
}

// Takes a worker out of those that wait for their release to be verified. False: it is none of them.
bool Master::unstarted(rollout::WorkerId worker) {
  std::size_t found = 0;
  for (auto& [id, waiting] : unstarted_)
    found += std::erase_if(waiting, [&](const Unstarted& one) { return one.order.worker == worker; });
  return found > 0;
}

// True for a worker without a process, which waits for none any more: so the engine has nothing to wait for.
bool Master::is_gone(rollout::WorkerId worker) {
  unstarted(worker);
  if (pool_.pid(worker) > 0) return false;
  perform(engine_.exited(now(), worker, {"spawn", not_started, true}));
  return true;
}

// The committed release cannot be respawned any more. An upgrade that is under way may end that by itself.
void Master::fall_back(const rollout::Release& release, const rollout::Checked& found) {
  const bool busy = engine_.upgrading() && !engine_.reverting();
  if (release.id != engine_.release().id || engine_.stopping() || busy) return;
  if (!found.earlier) return log::error("no release before it is sound: the slots that have a worker go on serving");
  log::warning("rolling back to {} ({}), which is sound", found.earlier->path, short_id(found.earlier->id));
  pending_[++last_request_] = {0, protocol::Verb::rollback, false, "", "the master itself", now()};
  rollout::Wish wish;
  wish.release = found.earlier;
  wish.path = found.earlier->path;
  wish.pace = pace_of(instantly());
  wish.overtake = true;
  wish.remark = fmt::format("release {} could not be respawned: {}", short_id(release.id), found.text);
  perform(engine_.upgrade(now(), last_request_, wish));
}

// The release of a start, from the store.
void Master::boot_checked(const rollout::Release& release, const rollout::Checked& found) {
  if (engine_.stopping() || outcome_) return;
  const auto chosen = rollout::choose_sound(release, found);
  if (const auto* none = std::get_if<rollout::NoStart>(&chosen)) {
    log::error("{}", none->text);
    outcome_ = Outcome{failed, none->text};
    return uv_stop(&loop_);
  }
  const auto& start = std::get<rollout::Start>(chosen);
  start_remark_ = start.remark;
  if (start.release == release) compare(release);
  boot(start.release, start.remark);
}

std::string Master::way_to(const rollout::Checked& found) const {
  if (!found.earlier) return "; no release before it in the store is sound";
  return fmt::format("; `liveswap rollback {}` goes to {}, which is sound", short_id(found.earlier->id), found.earlier->path);
}

}  // namespace liveswap::master
