#pragma once

#include <optional>
#include <string>
#include <variant>

#include "rollout/types.hpp"

namespace liveswap::rollout {

// What a start runs. HEAD decides where it exists: it names what was committed last, and a restart that went
// back to the configured target would undo an upgrade without a word. The target is where the first start
// begins, and what is meant by a start that forces it. A HEAD that exists and cannot be read decides too:
// nothing is started.

// What a start finds.
struct Surroundings {
  std::string target;         // configured; empty: none
  bool force_target = false;  // the target whatever HEAD says
  std::optional<Release>
      head;  // committed; without an id: by a HEAD that was edited, or no record knows. Nothing: no HEAD
  std::string head_trouble;   // without `head`: why it cannot be read, with the path of the file
  bool head_missing = false;  // because there is none yet; never together with `head`
  std::string recorded;   // without `head`: the path in the newest record of a commit; empty: there is none
  bool stored = false;    // the store has head's release
  bool readable = false;  // there is a file at head's path
};

struct Start {
  Release release;     // without an id: what is at the path now
  std::string remark;  // for the log and the user; empty: it goes without saying
};

// Nothing can be started: there is neither HEAD nor target, HEAD cannot be read, or what it names is gone.
struct NoStart {
  std::string text;
  bool misuse = false;  // nothing was named, and there is no HEAD
};

std::variant<Start, NoStart> choose_start(const Surroundings& found);

// What was found out about the bytes of the release that was chosen from the store.
struct Checked {
  enum class Kind {
    sound,
    differs,  // from what was committed
    unknown   // too late, cut off, not readable now: no statement about the bytes
  } kind = Kind::unknown;
  std::string text;  // sound: what was mended, or empty; else what is wrong, or why it could not be found out
  std::optional<Release> earlier;  // differs: the nearest committed release before that is sound
  bool left = false;               // somebody has rolled away from `earlier`, and none but those is sound
  bool unsure = false;             // differs, without `earlier`: whether there is one could not be found out
  bool sound() const { return kind == Kind::sound; }
};

// For people, behind a mention of `earlier`: empty, or that somebody has rolled away from it.
std::string left_remark(const Checked& found);

// Bytes that differ from what was committed are not run: the nearest sound release serves. `found` is not
// unknown, and not unsure: then it is to be found out first.
std::variant<Start, NoStart> choose_sound(const Release& chosen, const Checked& found);

// In a master that runs: what HEAD and the configured target say of the next start, where they differ. Empty:
// they do not, or there is no target.
std::string target_remark(const std::string& target, bool force_target, const std::string& head);

}  // namespace liveswap::rollout
