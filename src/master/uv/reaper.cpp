#include "master/uv/reaper.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <string>
#include <vector>

#include "base/unique_fd.hpp"
#include "spawn/spawner.hpp"

namespace liveswap::master {
namespace {

// How long the reaper waits for the owner of an ended child to reap it, before it lists all children.
constexpr Milliseconds time_for_owner{10};

// Appends the numbers in a file of /proc. There may be thousands, and the list is read after each worker's
// end: a stream would take twice the time.
void append_numbers(const std::string& path, std::vector<pid_t>& found) {
  const auto file = UniqueFd::adopt(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  std::string text;
  for (char part[4096]; const auto size = ::read(file.get(), part, sizeof part);) {
    if (size < 0) return;
    text.append(part, static_cast<std::size_t>(size));
  }
  const char *at = text.data(), *const end = at + text.size();
  for (pid_t number = 0;; ++at) {
    const auto [stopped, error] = std::from_chars(at, end, number);
    if (error != std::errc{}) return;
    found.push_back(number);
    if (stopped == end) return;
    at = stopped;
  }
}

// The children of all threads of this process: /proc lists each under the forking thread.
std::vector<pid_t> all_children() {
  std::vector<pid_t> found;
  std::error_code error;
  for (std::filesystem::directory_iterator threads("/proc/self/task", error), end; !error && threads != end;
       threads.increment(error))
    append_numbers(threads->path() / "children", found);
  return found;
}

bool reap(pid_t child) {
  siginfo_t info{};
  return ::waitid(P_PID, static_cast<id_t>(child), &info, WEXITED | WNOHANG) == 0 && info.si_pid != 0;
}

// waitid() shows only the first ended child. Reaps unclaimed ones until none is left, or the first is claimed
// (false): that one may hide others.
bool reap_up_to_claimed() {
  for (;;) {
    siginfo_t info{};
    if (::waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) != 0 || info.si_pid == 0) return true;
    if (spawn::is_claimed(info.si_pid)) return false;
    reap(info.si_pid);
  }
}

}  // namespace

bool adopts_orphans() {
  int adopts = 0;
  return ::getpid() == 1 || (::prctl(PR_GET_CHILD_SUBREAPER, &adopts) == 0 && adopts != 0);
}

bool has_orphans() {
  if (!adopts_orphans()) return false;
  const auto children = all_children();
  return std::any_of(children.begin(), children.end(), [](pid_t child) { return !spawn::is_claimed(child); });
}

Reaper::Reaper(uv_loop_t& loop) : again_(loop), watch_(loop, SIGCHLD, [this] { on_child_ended(); }) {
  again_.on_due([this] { look_again(); });
  ::prctl(PR_SET_CHILD_SUBREAPER, 1);
  // Children that have ended before this moment cause no further SIGCHLD. Only the loop looks for them: until
  // then the workers of a former image have been adopted, and are claimed.
  look_later();
}

// The owner of a claimed child usually reaps it at once. Only if one is still there later (a worker stays
// while its forked processes serve), all children are listed, since that takes long with hundreds of workers.
void Reaper::on_child_ended() {
  if (!is_looking_again_ && !reap_up_to_claimed()) look_later();
}

void Reaper::look_later() {
  again_.start(time_for_owner);
  is_looking_again_ = true;
}

void Reaper::look_again() {
  is_looking_again_ = false;
  if (reap_up_to_claimed()) return;
  // Collect first: /proc misreports the list while children exit.
  for (const pid_t child : all_children())
    if (!spawn::is_claimed(child)) reap(child);
}

}  // namespace liveswap::master
