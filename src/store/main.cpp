// liveswap-store: what the master has to do with files of any size on disks of any speed, in a process of its
// own, so that no disk ever holds up the master, and so that a file that nobody trusts yet is read where it
// can do no harm.
//
//   liveswap-store take STATE_DIR PRIVILEGED PATH   PRIVILEGED: 1 when the master is root
//   liveswap-store collect STATE_DIR ID …           removes all releases but these
//   liveswap-store hash PATH                        the id that PATH has; copies nothing
//
// One frame on the channel at descriptor 3 ends it (contract/channel.h): HOOK_DONE with value 0 and JSON, or with 1 and
// the reason when the file to take is not fit for it, or FAILED at the stage `open` with the reason, a full disk say. Exit
// status 0 after the first, LIVESWAP_EXIT_LOAD after the others.
#include <cstdio>
#include <exception>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "contract/channel.h"
#include "release/family.hpp"
#include "release/sha256.hpp"
#include "release/store.hpp"
#include "store/channel.hpp"

namespace {

using liveswap::Result;
using liveswap::release::Store;
using Json = nlohmann::json;
using Words = std::vector<std::string>;

// A path may have bytes that are no UTF-8, which JSON cannot say; the master knows the path and asks
// Store::file().
std::string text_of(const Json& answer) {
  return answer.dump(-1, ' ', false, Json::error_handler_t::replace);
}

using Answer = tl::expected<std::string, Store::Failure>;

Answer take(const Words& words) {
  const auto taken = Store(words[1]).take(words[3], {words[2] == "1"});
  if (!taken) return tl::unexpected<Store::Failure>(taken.error());
  return text_of({{"id", taken->id},
                  {"file", taken->file},
                  {"how", taken->how},
                  {"private_libraries", taken->private_libraries}});
}

Result<std::string> collect(const Words& words) {
  const std::set<std::string> ids(words.begin() + 2, words.end());
  // A word that was meant as an id and is none would cost a release that is in use.
  for (const auto& id : ids)
    if (!liveswap::release::is_id(id))
      return liveswap::fail("\"" + id + "\" is no id of a release: removed nothing");
  const auto kept = Store(words[1]).keep_only(ids);
  if (!kept) return liveswap::unexpected<liveswap::Error>(kept.error());
  return text_of(Json::object());
}

Result<std::string> hash(const Words& words) {
  const auto id = liveswap::release::identify(words[1]);
  if (!id) return liveswap::unexpected<liveswap::Error>(id.error());
  return text_of({{"id", *id}});
}

bool usable(const Words& words) {
  if (words.empty()) return false;
  const std::string& verb = words[0];
  if (verb == "take") return words.size() == 4 && (words[2] == "0" || words[2] == "1");
  if (verb == "collect") return words.size() >= 2;
  return verb == "hash" && words.size() == 2;
}

Answer carry_out(const Words& words) {
  try {
    if (words[0] == "take") return take(words);
    const auto answer = words[0] == "collect" ? collect(words) : hash(words);
    if (answer) return *answer;
    return tl::unexpected<Store::Failure>(Store::Failure{answer.error()});
  } catch (const std::exception& failure) {
    return tl::unexpected<Store::Failure>(Store::Failure{{words[0] + ": " + failure.what()}});
  }
}

}  // namespace

int main(int argc, char** argv) {
  const Words words(argv + (argc > 0 ? 1 : 0), argv + argc);
  if (!usable(words) || !liveswap::store::adopt_channel()) {
    std::fputs("liveswap-store is started by the master: `liveswap start`\n", stderr);
    return LIVESWAP_EXIT_USAGE;
  }
  const auto answer = carry_out(words);
  if (answer) return liveswap::store::send_done(*answer) ? 0 : LIVESWAP_EXIT_USAGE;
  const auto& failure = answer.error();
  failure.of_file ? liveswap::store::send_refused(failure.text) : liveswap::store::send_failed(failure.text);
  return LIVESWAP_EXIT_LOAD;
}
