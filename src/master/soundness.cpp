#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/log.hpp"
#include "config/values.hpp"
#include "json/fields.hpp"
#include "json/parse.hpp"
#include "master/master.hpp"
#include "release/seal.hpp"

// Before a release runs, its bytes in the store have been hashed: when it was taken, or now, by
// liveswap-store. In between the seal tells that nobody has written to them. What differs is not run, and the
// nearest sound release serves.
namespace liveswap::master {
namespace {

using protocol::Json;
using Kind = rollout::Checked::Kind;

// Releases of this master's own that a process is told of, as words of its command line.
constexpr std::size_t own_limit = 16;

// Until the release of a start is hashed once more, and until that is told again.
constexpr Milliseconds boot_pause{1'000};
constexpr Milliseconds boot_tell{60'000};

constexpr const char* itself = "the master itself";
constexpr const char* not_started = "it was not started: its release was still being verified";

const char* privileged() { return ::geteuid() == 0 ? "1" : "0"; }

std::string short_id(const std::string& id) { return id.substr(0, 12); }

}  // namespace

bool Master::is_sealed(const rollout::Release& release) const {
  const auto it = seals_.find(file_of(release));
  if (it == seals_.end()) return false;
  const auto now = release::seal_of(store_.directory(release.id));
  return now && *now == it->second;
}

// The same content may have two names, which are two files: each is hashed for itself.
std::string Master::file_of(const rollout::Release& release) const {
  return store_.file(release.id, release.path);
}

// `seal` may be empty: then it is verified before it runs.
void Master::note_seal(const rollout::Release& release, const std::string& seal) {
  unsound_.erase(file_of(release));
  if (seal.empty())
    seals_.erase(file_of(release));
  else
    seals_[file_of(release)] = seal;
}

// Of releases that nobody may need any more; one that is needed all the same is hashed again.
void Master::forget_seals(const std::set<std::string>& keep) {
  const auto is_old = [&](const auto& entry) {
    return !keep.contains(std::filesystem::path(entry.first).parent_path().filename().string());
  };
  std::erase_if(seals_, is_old);
  std::erase_if(unsound_, is_old);
}

// `done` is called later, on the loop, and must not throw. `substitute`: where the bytes differ, the nearest
// sound release is looked for.
void Master::verify(const rollout::Release& release, bool substitute, OnChecked done) {
  if (!boot_told_)
    log::info("release {}: its bytes in the store are hashed before it runs", short_id(release.id));
  verifier_.ask({"verify", options_.state_dir, privileged(), release.id, release.path},
                [this, release, substitute, done = std::move(done)](const Reader::Reply& reply) {
                  rollout::Checked found;
                  found.text = "no memory";
                  const bool searching = guarded([&] {
                    found = checked(release, reply.result);
                    found.unsure = found.kind == Kind::differs;
                    if (substitute && found.unsure && !engine_.stopping())
                      find_substitute(release, found, done);
                  });
                  // Else find_substitute() calls it.
                  if (!searching || !substitute || !found.unsure || engine_.stopping()) done(found);
                });
}

rollout::Checked Master::checked(const rollout::Release& release, const Task::Result& result) {
  const bool answered = result.kind == Task::Result::Kind::done;
  const Json answer = answered ? json::parse_or_null(result.text) : Json();
  rollout::Checked found;
  if (const auto seal = json::text(answer, "seal")) {
    note_seal(release, *seal);
    found.kind = Kind::sound;
    found.text = json::text_or_empty(answer, "mended");
    if (!found.text.empty()) log::warning("release {}: {}", short_id(release.id), found.text);
    return found;
  }
  if (const auto trouble = json::text(answer, "trouble")) {
    found.kind = Kind::differs;
    found.text = *trouble;
    seals_.erase(file_of(release));
    unsound_[file_of(release)] = found.text;
    log::error("release {} ({}): {}", short_id(release.id), release.path, found.text);
    return found;
  }
  const bool late = result.kind == Task::Result::Kind::late;
  found.text = fmt::format("release {} ({}) could not be hashed now: {}", short_id(release.id), release.path,
                           late ? "it took longer than --check-limit" : result.text);
  return found;
}

// Has time for each of those that it may come to.
void Master::find_substitute(const rollout::Release& release, const rollout::Checked& found, OnChecked done) {
  const auto own = open_receipts_.committed(own_limit);
  std::set<std::string> never = fell_through_, last;
  never.insert({engine_.release().id, release.id});
  never.erase("");
  std::vector<std::string> pairs;
  for (const auto& one : own) {
    if (open_receipts_.is_left(one.id)) last.insert(one.id);
    pairs.insert(pairs.end(), {one.id, one.path});
  }
  const std::size_t keep = options_.keep_releases + 1;
  std::vector<std::string> words{"substitute",
                                 options_.state_dir,
                                 privileged(),
                                 std::to_string(keep),
                                 fmt::format("{}", fmt::join(never, ",")),
                                 fmt::format("{}", fmt::join(last, ","))};
  words.insert(words.end(), pairs.begin(), pairs.end());
  const auto limit = options_.check_limit * static_cast<Milliseconds::rep>(own.size() + keep);
  verifier_.ask(std::move(words), limit,
                [this, found, own, done = std::move(done)](const Reader::Reply& reply) {
                  rollout::Checked more = found;
                  if (!guarded([&] { add_substitute(more, own, reply.result); })) more.unsure = true;
                  done(more);
                });
}

void Master::add_substitute(rollout::Checked& found, const std::vector<release::Committed>& own,
                            const Task::Result& result) {
  const Json answer = result.kind == Task::Result::Kind::done ? json::parse_or_null(result.text) : Json();
  found.unsure = !answer.is_object();
  if (found.unsure && engine_.stopping()) return;
  if (found.unsure)
    return log::warning("whether a release before it is sound could not be found out: {}", result.text);
  if (!json::text(answer, "id")) return;
  rollout::Release release{json::text_or_empty(answer, "path"), json::text_or_empty(answer, "id")};
  // JSON cannot say every path.
  for (const auto& one : own)
    if (one.id == release.id) release.path = one.path;
  note_seal(release, json::text_or_empty(answer, "seal"));
  found.left = json::member(answer, "left") == true;
  found.earlier = release;
}

// The new release of an upgrade needs no substitute: the upgrade fails, and the committed one serves.
void Master::carry_out(const rollout::Spawn& command) {
  if (is_sealed(command.release)) return start_worker(command);
  const std::string file = file_of(command.release);
  unstarted_[file].push_back({command, {}});
  if (!verifying_.insert(file).second) return;
  // A worker that an exception leaves without a process is gone once its ready limit has passed.
  verify(command.release, command.release.id == engine_.release().id,
         [this, release = command.release](const auto& found) {
           verifying_.erase(file_of(release));
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
  const auto waiting = unstarted_.extract(file_of(release));
  for (const Unstarted& one : waiting ? waiting.mapped() : std::vector<Unstarted>()) {
    const auto worker = engine_.workers().find(one.order.worker);
    if (worker == engine_.workers().end()) continue;
    // What became of one may have had the engine send the others away.
    const bool is_wanted = worker->second.state == rollout::WorkerState::starting;
    if (!found.sound() || !is_wanted) {
      perform(engine_.exited(now(), one.order.worker,
                             {"open", found.sound() ? not_started : found.text, !is_wanted}));
      continue;
    }
    start_worker(one.order);
    if (one.note) carry_out(*one.note);
  }
  // Also where nobody waits any more: hashing may take longer than the ready limit, each time again.
  if (found.kind == Kind::differs) fall_back(release, found);
}

// A worker that has no process yet is taken out of those that wait for their release to be verified. True: it
// was one.
bool Master::unstarted(rollout::WorkerId worker) {
  std::size_t found = 0;
  for (auto& [file, waiting] : unstarted_)
    found += std::erase_if(waiting, [&](const Unstarted& one) { return one.order.worker == worker; });
  std::erase_if(unstarted_, [](const auto& entry) { return entry.second.empty(); });
  return found > 0;
}

// A worker that has no process yet is taken out of the queue and reported to the engine as ended. True: it
// was one.
bool Master::is_gone(rollout::WorkerId worker) {
  unstarted(worker);
  if (pool_.pid(worker) > 0) return false;
  perform(engine_.exited(now(), worker, {"spawn", not_started, true}));
  return true;
}

// The committed release cannot be respawned any more. An upgrade that is under way, or waits, may end that by
// itself.
void Master::fall_back(const rollout::Release& release, const rollout::Checked& found) {
  const bool busy = (engine_.upgrading() && !engine_.reverting()) || engine_.queued();
  if (release.id != engine_.release().id || engine_.stopping() || busy || found.unsure) return;
  if (!found.earlier) {
    if (std::exchange(without_way_back_, release.id) != release.id)
      log::error("no release before it can take its place: the slots that have a worker go on serving");
    return;
  }
  log::warning("rolling back to {} ({}), which is sound{}", found.earlier->path, short_id(found.earlier->id),
               rollout::left_remark(found));
  // It may be about to remove what is gone to.
  if (collection_) cancel_task(collection_);
  pending_[++last_request_] = {0, protocol::Verb::rollback, false, "", itself, now()};
  // A release that cannot start is not tried again and again.
  fell_through_.insert(found.earlier->id);
  rollout::UpgradeRequest wish;
  wish.release = found.earlier;
  wish.path = found.earlier->path;
  wish.pace = pace_of(instantly());
  wish.overtake = true;
  wish.remark = fmt::format("release {} could not be respawned: {}", short_id(release.id), found.text);
  if (found.left) wish.remark += "; this one is run" + rollout::left_remark(found);
  perform(engine_.upgrade(now(), last_request_, wish));
}

// `request` has committed a release. What somebody has asked for begins anew; a rollback of the master's own
// has not failed, but those before it have.
void Master::forget_falls(rollout::RequestId request) {
  without_way_back_.clear();
  const auto it = pending_.find(request);
  if (it == pending_.end() || it->second.by != itself) fell_through_.clear();
}

// The release of a start, from the store.
void Master::verify_boot(const rollout::Release& release) {
  verify(release, true, [this, release](const rollout::Checked& found) {
    if (!guarded([&] { boot_checked(release, found); })) make_up(rollout::Quit{false, {}});
  });
}

void Master::boot_checked(const rollout::Release& release, const rollout::Checked& found) {
  if (engine_.stopping() || outcome_) return;
  if (found.kind == Kind::unknown || found.unsure) return boot_later(release, found);
  const auto chosen = rollout::choose_sound(release, found);
  if (const auto* none = std::get_if<rollout::NoStart>(&chosen)) {
    log::error("{}", none->text);
    outcome_ = Outcome{failed, none->text};
    return uv_stop(&loop_);
  }
  boot_told_.reset();
  const auto& start = std::get<rollout::Start>(chosen);
  start_remark_ = start.remark;
  if (start.release == release) compare(release);
  boot(start.release, start.remark);
}

// What keeps the bytes from being hashed passes by: a disk that hangs, too little memory. Nothing runs
// unverified meanwhile.
void Master::boot_later(const rollout::Release& release, const rollout::Checked& found) {
  if (!boot_told_ || now() - *boot_told_ >= boot_tell) {
    boot_told_ = now();
    log::warning("{}{}: nothing is started yet, it is tried again", found.text,
                 found.unsure ? "; whether a release before it is sound could not be found out" : "");
  }
  boot_timer_.start(boot_pause, [this, release] { verify_boot(release); });
}

std::string Master::way_to(const rollout::Checked& found) const {
  if (found.kind != Kind::differs || found.unsure) return ": try again";
  if (!found.earlier) return "; no release before it in the store is sound";
  return fmt::format("; `liveswap rollback {}` goes to {}, which is sound{}", short_id(found.earlier->id),
                     found.earlier->path, rollout::left_remark(found));
}

}  // namespace liveswap::master
