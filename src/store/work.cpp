#include "store/work.hpp"

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>

#include "base/file.hpp"
#include "base/log.hpp"
#include "launch/resolve.h"
#include "protocol/line_buffer.hpp"
#include "protocol/message.hpp"
#include "release/family.hpp"
#include "release/history.hpp"
#include "release/rollback_target.hpp"
#include "release/runtime_record.hpp"
#include "release/sha256.hpp"
#include "release/soundness.hpp"
#include "release/store.hpp"
#include "spawn/host.hpp"
#include "spawn/identity.hpp"

namespace liveswap::store {
namespace {

using release::History;
using release::Store;
using Json = nlohmann::json;

// JSON cannot represent invalid UTF-8, which a path may contain: it is replaced. So the master does not use a
// path from an answer if it knows the path already.
Answer json_answer(const Json& answer) {
  return Done{answer.dump(-1, ' ', false, Json::error_handler_t::replace), false};
}

Answer failed(const Error& error) { return tl::unexpected<Failure>(Failure{error, false}); }
Answer refused(const Error& error) { return tl::unexpected<Failure>(Failure{error, true}); }

std::optional<std::uint64_t> as_number(const std::string& text) {
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc{} && end == text.data() + text.size() ? std::optional(number) : std::nullopt;
}

Answer take(const Words& words) {
  const auto taken = Store(words[1]).take(words[3], {words[2] == "1"});
  if (!taken) return taken.error().of_file ? refused(taken.error()) : failed(taken.error());
  return json_answer({{"id", taken->id},
                      {"file", taken->file},
                      {"how", taken->how},
                      {"seal", taken->seal},
                      {"private_libraries", taken->private_libraries}});
}

Json runtime_json(const release::RuntimeRecord& runtime) {
  return {{"path", runtime.path}, {"version", runtime.version}, {"sha256", runtime.sha256}};
}

// The runtime that would start the release now; empty: unknown. `words` from `first` on: `--path`, the
// workers' PATH, and pairs of words for launch_take_option(). Unknown without a PATH, which a master leaves
// out if its workers have another user; and unknown if the runtime is a shell script (pyenv), because this
// process does not execute it.
std::string runtime_now(const std::string& file, const Words& words, std::size_t first) {
  static launch_plan plan;
  launch_options options{};
  if (words.size() < first + 2 || words[first] != "--path") return "";
  ::setenv("PATH", words[first + 1].c_str(), 1);
  for (std::size_t i = first + 2; i + 1 < words.size(); i += 2)
    launch_take_option(&options, words[i].c_str(), words[i + 1].c_str());
  char why[256];
  return launch_resolve(file.c_str(), &options, &plan, why, sizeof why) ? plan.program : "";
}

// Adds what is recorded of the runtime, and how it differs now.
void add_runtime(Json& answer, const Words& words) {
  const Store store(words[1]);
  const auto then = release::recorded_runtime(store.directory(words[3]));
  if (!then) return;
  answer["runtime"] = runtime_json(*then);
  answer["runtime_remark"] =
      release::runtime_difference(*then, runtime_now(store.file(words[3], words[4]), words, 6));
}

Answer record_runtime(const Words& words) {
  if (!release::is_id(words[2])) return failed({"\"" + words[2] + "\" is no id of a release"});
  const auto recorded =
      release::record_runtime(Store(words[1]).directory(words[2]), {words[3], words[4], "", ""});
  return recorded ? json_answer(runtime_json(*recorded)) : failed(recorded.error());
}

// The text of a file, for the master, which must not block.
Answer read(const Words& words) {
  auto text = read_small_file(words[1], *as_number(words[2]));
  return text ? Answer(Done{std::move(*text), true}) : refused(text.error());
}

Answer identity(const Words& words) {
  const auto found = spawn::find_identity(words[1], words[2]);
  if (!found) return refused(found.error());
  if (!*found) return refused({"found neither a user nor a group"});
  return json_answer({{"user", (*found)->user}, {"group", (*found)->group}, {"groups", (*found)->groups}});
}

Answer resolve(const Words& words) {
  Json hosts = Json::array();
  for (auto name = words.begin() + 1; name != words.end(); ++name) {
    const auto address = spawn::find_host(*name);
    if (!address) return refused(address.error());
    hosts.push_back({{"name", *name}, {"address", *address}});
  }
  return json_answer({{"hosts", hosts}});
}

Answer collect(const Words& words) {
  const Words ids(words.begin() + 3, words.end());
  // An invalid id might be meant for a release in use, so nothing is removed.
  for (const auto& id : ids)
    if (!release::is_id(id)) return failed({"\"" + id + "\" is no id of a release: removed nothing"});
  const History history(words[1]);
  std::set<std::string> keep(ids.begin(), ids.end());
  for (const auto& one : history.committed(*as_number(words[2]), ids)) keep.insert(one.id);
  history.prune();
  const auto kept = Store(words[1]).keep_only(keep);
  return kept ? json_answer(Json::object()) : failed(kept.error());
}

Answer hash(const Words& words) {
  const auto id = release::identify(words[1]);
  return id ? json_answer({{"id", *id}}) : failed(id.error());
}

Answer list_history(const Words& words) {
  const auto listed = History(words[1]).list(*as_number(words[2]));
  Json members{{"history", listed.receipts}};
  if (listed.left_out > 0) {
    log::warning("receipts in {}/history that are left out: {}", words[1], listed.why);
    members["left_out"] = listed.left_out;
    members["left_out_text"] = listed.why;
  }
  return Done{protocol::ok_line("history", members), true};
}

Answer find_receipt(const Words& words) {
  const auto receipt = History(words[1]).receipt(as_number(words[2]));
  if (!receipt) return refused(receipt.error());
  auto line = protocol::ok_line("receipt", {{"receipt", *receipt}});
  if (line.size() < protocol::answer_limit) return Done{std::move(line), true};
  return refused({"the receipt has " + std::to_string(line.size()) + " bytes, and an answer at most " +
                  std::to_string(protocol::answer_limit) + ": read its file in " + words[1] + "/history"});
}

Answer find_earlier(const Words& words) {
  const release::RollbackQuery query{
      words[4], words[3], *as_number(words[2]), {words.begin() + 5, words.end()}};
  const auto found = release::find_rollback_target(History(words[1]), Store(words[1]), query);
  return found ? json_answer({{"id", found->id}, {"path", found->path}}) : refused(found.error());
}

// Bound of texts that the master accepts.
std::string shortened(const std::string& text) { return text.substr(0, 2048); }

Json sound_json(const release::Committed& release, const release::Sound& sound) {
  return {
      {"id", release.id}, {"path", release.path}, {"seal", sound.seal}, {"mended", shortened(sound.mended)}};
}

Answer examine(const Words& words) {
  const release::Committed wanted{words[4], words[3]};
  const bool is_known = words.size() > 5 && words[5] == "changed";
  const auto hashing = is_known ? release::Hashing::changed : release::Hashing::all;
  const auto sound = release::examine(Store(words[1]), wanted, {words[2] == "1"}, hashing);
  if (sound) {
    auto answer = sound_json(wanted, *sound);
    add_runtime(answer, words);
    return json_answer(answer);
  }
  if (!sound.error().differs) return failed(sound.error());
  return json_answer({{"trouble", shortened(sound.error().text)}});
}

// Parses "ID,ID" without duplicates; may be empty.
std::set<std::string> ids_in(const std::string& word) {
  std::set<std::string> ids;
  for (std::size_t begin = 0; begin < word.size();) {
    const auto end = std::min(word.find(',', begin), word.size());
    ids.insert(word.substr(begin, end - begin));
    begin = end + 1;
  }
  return ids;
}

// The releases in the order in which find_substitute() tries them. `left` receives the ids to try last.
std::vector<release::Committed> substitutes(const Words& words, std::set<std::string>& left) {
  const auto never = ids_in(words[4]);
  left = ids_in(words[5]);
  Words seen(never.begin(), never.end());
  std::vector<release::Committed> known;
  for (std::size_t i = 6; i + 1 < words.size(); i += 2) {
    known.push_back({words[i + 1], words[i]});
    seen.push_back(words[i]);
  }
  const auto past = History(words[1]).past(*as_number(words[3]), seen);
  for (const auto& one : past.committed) {
    known.push_back(one);
    if (past.left.contains(one.id)) left.insert(one.id);
  }
  std::erase_if(known, [&](const auto& one) { return never.contains(one.id); });
  std::stable_partition(known.begin(), known.end(), [&](const auto& one) { return !left.contains(one.id); });
  return known;
}

Answer find_substitute(const Words& words) {
  std::set<std::string> left;
  bool unsure = false;
  for (const auto& one : substitutes(words, left)) {
    const auto sound = release::examine(Store(words[1]), one, {words[2] == "1"});
    unsure |= !sound && !sound.error().differs;
    if (!sound) continue;
    auto answer = sound_json(one, *sound);
    answer["left"] = left.contains(one.id);
    return json_answer(answer);
  }
  return unsure ? failed({"the releases before it could not be looked at now"}) : json_answer(Json::object());
}

struct Verb {
  const char* name;
  std::size_t least, most;  // number of words
  int number;               // index of the word that is a number; 0: none
  Answer (*carry_out)(const Words&);
};

constexpr std::size_t any = SIZE_MAX;
constexpr Verb verbs[]{{"take", 4, 4, 0, take},
                       {"collect", 3, any, 2, collect},
                       {"examine", 5, any, 0, examine},
                       {"substitute", 6, any, 3, find_substitute},
                       {"hash", 2, 2, 0, hash},
                       {"runtime", 5, 5, 0, record_runtime},
                       {"read", 3, 3, 2, read},
                       {"identity", 3, 3, 0, identity},
                       {"resolve", 2, any, 0, resolve},
                       {"history", 3, 3, 2, list_history},
                       {"receipt", 3, 3, 0, find_receipt},
                       {"earlier", 5, any, 2, find_earlier}};

const Verb* find(const Words& words) {
  for (const Verb& verb : verbs)
    if (!words.empty() && words[0] == verb.name) return &verb;
  return nullptr;
}

}  // namespace

bool is_usable(const Words& words) {
  const Verb* verb = find(words);
  if (!verb || words.size() < verb->least || words.size() > verb->most) return false;
  if (verb->number > 0 && !as_number(words[static_cast<std::size_t>(verb->number)])) return false;
  if (words[0] == "substitute" && words.size() % 2 != 0) return false;
  // A master of a former version gives 5 words, or "changed" as the sixth.
  if (words[0] == "examine" && words.size() > 5 && words[5] != "changed" && words[5] != "all") return false;
  if (words[0] == "take" || words[0] == "examine" || words[0] == "substitute")
    return words[2] == "0" || words[2] == "1";
  return words[0] != "receipt" || words[2] == "newest" || as_number(words[2]);
}

Answer carry_out(const Words& words) { return find(words)->carry_out(words); }

}  // namespace liveswap::store
