#pragma once

#include <optional>
#include <string>
#include <variant>

#include "rollout/types.hpp"

namespace liveswap::rollout {

// Chooses the release that a start runs. HEAD decides if it exists: it names the last commit, and a restart
// with the configured target would silently undo an upgrade. The target serves the first start, and a start
// with --force-target. If HEAD exists but cannot be read, nothing is started.

// The input of choose_start().
struct Surroundings {
  std::string target;           // configured; empty: none
  bool force_target = false;    // use the target, whatever HEAD says
  std::optional<Release> head;  // without an id: HEAD was edited, or no record knows its path
  std::string head_trouble;     // without `head`: why it cannot be read, with its path
  bool head_missing = false;    // HEAD does not exist; never with `head`
  std::string recorded;         // without `head`: the path in the newest record; may be empty
  bool stored = false;          // the store has `head`'s release
  bool readable = false;        // a file is at `head`'s path
};

struct Start {
  Release release;     // without an id: the file at the path now
  std::string remark;  // for the log and the user; may be empty
};

// Nothing can be started: no HEAD and no target, an unreadable HEAD, or the file that it names is gone.
struct NoStart {
  std::string text;
  bool misuse = false;  // neither HEAD nor a target
};

std::variant<Start, NoStart> choose_start(const Surroundings& found);

// The result of examining the stored bytes of the chosen release.
struct Examined {
  enum class Kind {
    sound,
    differs,  // from the committed SHA-256
    unknown   // too late, cut off, or unreadable now
  } kind = Kind::unknown;
  std::string text;  // sound: what was repaired, may be empty; else what is wrong or why it is unknown
  std::optional<Release> earlier;  // differs: the newest earlier committed release that is sound
  bool left = false;               // an operator rolled back from `earlier`, but no other release is sound
  bool unsure = false;             // differs, no `earlier`: the search could not be completed
  bool sound() const { return kind == Kind::sound; }
};

// Text to append to the name of `earlier`: that an operator has rolled back from that release; may be empty.
std::string left_remark(const Examined& found);

// Bytes that differ from the committed ones are never run: `earlier` runs instead. `found` must be neither
// unknown nor unsure.
std::variant<Start, NoStart> choose_sound(const Release& chosen, const Examined& found);

// For a running master: how HEAD and the configured target differ, and which one the next start uses.
// Empty: they agree, or there is no target.
std::string target_remark(const std::string& target, bool force_target, const std::string& head);

}  // namespace liveswap::rollout
