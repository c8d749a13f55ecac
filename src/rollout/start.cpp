#include "rollout/start.hpp"

#include "base/text.hpp"

namespace liveswap::rollout {
namespace {

std::string shown(const Release& release) {
  return release.id.empty() ? release.path : release.path + " (release " + short_id(release.id) + ")";
}

Start target_of(const Surroundings& found) {
  Start start{{found.target, {}}, ""};
  if (!found.head && !found.head_missing)
    start.remark = found.head_trouble + "; the target was forced: starting " + found.target;
  else if (found.head && found.head->path != found.target)
    start.remark = "HEAD says " + shown(*found.head) + "; the target was forced: starting " + found.target;
  return start;
}

// The master replaces HEAD atomically, so no crash or power loss damages it. Something else did, and a
// person has to find out what was committed.
NoStart damaged_head(const Surroundings& found) {
  const std::string target =
      found.target.empty() ? "a library that is named" : "the configured target " + found.target;
  std::string text =
      found.head_trouble + ". HEAD names the release that is committed: nothing is started without it";
  if (!found.recorded.empty()) text += "; the newest record of a commit names " + found.recorded;
  return {text +
          ". Write the path of the committed library into HEAD, or start with --force-target to begin with " +
          target};
}

// The committed bytes if the store has them, else the file at HEAD's path.
std::variant<Start, NoStart> head_of(const Surroundings& found) {
  const bool other = !found.target.empty() && found.target != found.head->path;
  if (!found.stored && !found.readable)
    return NoStart{"HEAD says " + shown(*found.head) +
                   ", but neither the store has that release nor is there a file: " +
                   (other ? "start with --force-target to run the configured target " + found.target
                          : "put the library there, or name another one with --force-target")};
  Start start;
  start.release = {found.head->path, found.stored ? found.head->id : ""};
  if (other)
    start.remark = "HEAD says " + shown(*found.head) + "; the configured target " + found.target +
                   " was not used: `liveswap upgrade " + found.target +
                   "` changes to it, a start with --force-target begins with it";
  if (!found.stored)
    start.remark = joined(start.remark, "the store has no snapshot of what HEAD names (" + found.head->path +
                                            "): taking what is there now");
  return start;
}

}  // namespace

std::variant<Start, NoStart> choose_start(const Surroundings& found) {
  if (!found.target.empty() && (found.force_target || found.head_missing)) return target_of(found);
  if (found.head) return head_of(found);
  if (!found.head_missing) return damaged_head(found);
  return NoStart{"no library was named, and " + found.head_trouble, true};
}

std::string left_remark(const Examined& found) {
  return found.left ? ", although it was rolled back from: no other one is as it was committed" : "";
}

std::variant<Start, NoStart> choose_sound(const Release& chosen, const Examined& found) {
  if (found.sound()) return Start{chosen, found.text};
  const std::string what = "the committed release " + shown(chosen) + " is not run: " + found.text;
  if (found.earlier)
    return Start{*found.earlier, what + "; " + shown(*found.earlier) +
                                     ", which was committed before, is run instead" + left_remark(found)};
  return NoStart{
      what +
      "; no release before it can be run either. A start with --force-target PATH takes what is at PATH now"};
}

std::string target_remark(const std::string& target, bool force_target, const std::string& head) {
  if (target.empty() || head.empty() || target == head) return "";
  return "HEAD says " + head + "; " +
         (force_target ? "but a restart begins with the configured target " + target + " (force-target)"
                       : "the configured target " + target + " is not used");
}

}  // namespace liveswap::rollout
