#include "master/releases/soundness.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/log.hpp"
#include "base/text.hpp"
#include "json/fields.hpp"
#include "json/parse.hpp"
#include "master/settings.hpp"
#include "release/seal.hpp"

namespace liveswap::master {
namespace {

using Json = nlohmann::json;
using Found = rollout::Examined::Kind;

// The number of this master's last committed releases that are passed to `liveswap-store substitute`, which
// has a limited command line.
constexpr std::size_t own_limit = 16;

// The number of liveswap-store processes that may run at once.
constexpr std::size_t examined_at_once = 2;

const char* privileged() { return ::geteuid() == 0 ? "1" : "0"; }

}  // namespace

Soundness::Soundness(uv_loop_t& loop, const spawn::Request& store, const Options& options,
                     const rollout::Engine& engine, const release::CommittedReleases& committed,
                     const rollout::FallBack& fall_back, KnownRuntimes& runtimes)
    : options_(options),
      engine_(engine),
      committed_(committed),
      fall_back_(fall_back),
      runtimes_(runtimes),
      store_(options.state_dir),
      queries_(loop, store, examined_at_once, options.check_limit) {}

bool Soundness::is_sealed(const rollout::Release& release) const {
  const auto it = seals_.find(file_of(release));
  if (it == seals_.end() || it->second == release::tree_seal) return false;
  const auto now = release::seal_of(store_.directory(release.id));
  return now && *now == it->second;
}

bool Soundness::is_hashed_tree(const rollout::Release& release) const {
  const auto it = seals_.find(file_of(release));
  return it != seals_.end() && it->second == release::tree_seal;
}

void Soundness::note_seal(const rollout::Release& release, const std::string& seal) {
  unsound_.erase(file_of(release));
  if (seal.empty()) seals_.erase(file_of(release));
  else seals_[file_of(release)] = seal;
}

void Soundness::doubt(const rollout::Release& release) { seals_.erase(file_of(release)); }

void Soundness::keep_only(const std::set<std::string>& ids) {
  const auto is_old = [&](const std::string& file) {
    return !ids.contains(std::filesystem::path(file).parent_path().filename().string());
  };
  std::erase_if(seals_, [&](const auto& entry) { return is_old(entry.first); });
  std::erase_if(unsound_, [&](const auto& entry) { return is_old(entry.first); });
}

std::string Soundness::trouble_of(const rollout::Release& release) const {
  const auto it = unsound_.find(file_of(release));
  return it == unsound_.end() ? "" : it->second;
}

// As child_environment() makes it.
std::string Soundness::path_of_workers() const {
  const auto set = options_.environment.find("PATH");
  const char* const inherited = ::getenv("PATH");
  return set != options_.environment.end() ? set->second : inherited ? inherited : "";
}

void Soundness::examine(const rollout::Release& release, bool substitute, OnExamined done) {
  std::vector<std::string> words{"examine",  options_.state_dir, privileged(),
                                 release.id, release.path,       is_hashed_tree(release) ? "changed" : "all"};
  if (options_.user.empty()) {
    words.insert(words.end(), {"--path", path_of_workers()});
    const auto launch = launch_words(options_);
    words.insert(words.end(), launch.begin(), launch.end());
  }
  queries_.ask(std::move(words),
               [this, release, substitute, done = std::move(done)](const StoreQueries::Reply& reply) {
                 rollout::Examined found;
                 found.text = "no memory";
                 const bool searching = guarded([&] {
                   found = examined(release, reply.result);
                   found.unsure = found.kind == Found::differs;
                   if (substitute && found.unsure && !engine_.stopping())
                     find_substitute(release, found, done);
                 });
                 // After find_substitute() has started, its reply calls `done`.
                 if (!searching || !substitute || !found.unsure || engine_.stopping()) done(found);
               });
}

rollout::Examined Soundness::examined(const rollout::Release& release, const Task::Result& result) {
  const bool answered = result.kind == Task::Result::Kind::done;
  const Json answer = answered ? json::parse_or_null(result.text) : Json();
  rollout::Examined found;
  if (const auto seal = json::text(answer, "seal")) {
    note_seal(release, *seal);
    found.kind = Found::sound;
    found.text = json::text_or_empty(answer, "mended");
    if (!found.text.empty()) log::warning("release {}: {}", short_id(release.id), found.text);
    take_runtime(release, answer, found);
    return found;
  }
  if (const auto trouble = json::text(answer, "trouble")) {
    found.kind = Found::differs;
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

// A rollback says so if the runtime is another one than then.
void Soundness::take_runtime(const rollout::Release& release, const Json& answer, rollout::Examined& found) {
  runtimes_.note(release.id, json::member(answer, "runtime"));
  const auto remark = json::text_or_empty(answer, "runtime_remark");
  if (remark.empty()) return;
  log::warning("release {}: {}", short_id(release.id), remark);
  found.text += (found.text.empty() ? "" : "; ") + remark;
}

// The time limit is that of one check for each candidate.
void Soundness::find_substitute(const rollout::Release& release, const rollout::Examined& found,
                                OnExamined done) {
  const auto own = committed_.newest(own_limit);
  std::set<std::string> never = fall_back_.tried(), last;
  never.insert({engine_.release().id, release.id});
  never.erase("");
  std::vector<std::string> pairs;
  for (const auto& one : own) {
    if (committed_.is_left(one.id)) last.insert(one.id);
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
  queries_.ask(std::move(words), limit,
               [this, found, own, done = std::move(done)](const StoreQueries::Reply& reply) {
                 rollout::Examined more = found;
                 if (!guarded([&] { add_substitute(more, own, reply.result); })) more.unsure = true;
                 done(more);
               });
}

void Soundness::add_substitute(rollout::Examined& found, const std::vector<release::Committed>& own,
                               const Task::Result& result) {
  const Json answer = result.kind == Task::Result::Kind::done ? json::parse_or_null(result.text) : Json();
  found.unsure = !answer.is_object();
  if (found.unsure && engine_.stopping()) return;
  if (found.unsure)
    return log::warning("whether a release before it is sound could not be found out: {}", result.text);
  if (!json::text(answer, "id")) return;
  rollout::Release release{json::text_or_empty(answer, "path"), json::text_or_empty(answer, "id")};
  // JSON cannot represent every path, so take the path from `own` where possible.
  for (const auto& one : own)
    if (one.id == release.id) release.path = one.path;
  note_seal(release, json::text_or_empty(answer, "seal"));
  found.left = json::member(answer, "left") == true;
  found.earlier = release;
}

void Soundness::log_hashing(const rollout::Release& release) const {
  if (is_hashed_tree(release)) return;
  log::info("release {}: its bytes in the store are hashed before it runs", short_id(release.id));
}

}  // namespace liveswap::master
