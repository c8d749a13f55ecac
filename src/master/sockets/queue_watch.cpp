#include "master/sockets/queue_watch.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <bit>
#include <cstring>
#include <fstream>
#include <memory>
#include <utility>

#include "master/sockets/accept_queue.hpp"
#include "master/sockets/sockets.hpp"

namespace liveswap::master {
namespace {

constexpr Milliseconds look_step{500};

// The largest number of entries in /proc/PID/fd that is read.
constexpr int descriptors_limit = 4096;

using Directory = std::unique_ptr<DIR, int (*)(DIR*)>;

Directory open_directory(const std::string& path) { return {::opendir(path.c_str()), ::closedir}; }

bool may_have_children(const std::string& process) {
  const Directory threads = open_directory(process + "/task");
  if (!threads) return true;
  while (const dirent* thread = ::readdir(threads.get())) {
    std::ifstream list(process + "/task/" + thread->d_name + "/children");
    if (int child = 0; list >> child) return true;
  }
  return false;
}

}  // namespace

QueueWatch::QueueWatch(uv_loop_t& loop, Handlers handlers)
    : loop_(loop), handlers_(std::move(handlers)), timer_(loop) {
  timer_.on_due([this] { look(); });
}

void QueueWatch::watch(const std::vector<Place>& places) {
  if (places == places_) return;
  places_.clear();
  entries_.clear();
  for (const Place& place : places) {
    if (socket_option(place.fd, SOL_SOCKET, SO_TYPE) != SOCK_STREAM) continue;
    Entry& entry = entries_.emplace_back();
    entry.place = place;
    entry.socket = UniqueFd::adopt(::fcntl(place.fd, F_DUPFD_CLOEXEC, 0));
    arm(entry);
  }
  places_ = places;
}

void QueueWatch::arm(Entry& entry) {
  entry.awake = false;
  entry.looks = 0;
  if (!entry.socket) return;
  entry.poll.emplace(loop_, entry.socket.get());
  entry.poll->start(UV_READABLE, [this, &entry](int) {
    entry.awake = true;
    entry.poll.reset();
    look_later();
  });
}

void QueueWatch::look_later() {
  if (!std::exchange(looking_, true)) timer_.start(look_step);
}

// The handlers may replace the entries.
void QueueWatch::look() {
  looking_ = false;
  bool is_shut_down = false;
  for (const Entry& entry : entries_)
    is_shut_down =
        is_shut_down || (entry.awake && socket_option(entry.socket.get(), SOL_SOCKET, SO_ACCEPTCONN) != 1);
  if (is_shut_down) handlers_.shut_down();
  std::vector<std::pair<Place, ino_t>> waiting;
  bool again = false;
  for (Entry& entry : entries_) {
    if (!entry.awake) continue;
    if (look_at(entry)) waiting.emplace_back(entry.place, socket_inode(entry.socket.get()));
    again = again || entry.awake;
  }
  if (again) look_later();
  for (const auto& [place, inode] : waiting) handlers_.waiting(place, inode);
}

// True: report the entry (at the 2nd, 4th, 8th … check).
bool QueueWatch::look_at(Entry& entry) {
  if (accept_queue(entry.socket.get()).value_or(0) == 0) {
    arm(entry);
    return false;
  }
  return ++entry.looks > 1 && std::has_single_bit(entry.looks);
}

std::optional<bool> has_socket_open(pid_t pid, ino_t inode) {
  const std::string process = "/proc/" + std::to_string(pid),
                    wanted = "socket:[" + std::to_string(inode) + "]";
  const Directory all = open_directory(process + "/fd");
  if (!all) return std::nullopt;
  bool is_unclear = false;
  int count = 0;
  while (const dirent* one = ::readdir(all.get())) {
    char link[64];
    const ssize_t size = ::readlinkat(::dirfd(all.get()), one->d_name, link, sizeof link);
    const std::string_view what(link, size > 0 ? static_cast<std::size_t>(size) : 0);
    if (what == wanted) return true;
    is_unclear = is_unclear || what.find("io_uring") != std::string_view::npos || ++count > descriptors_limit;
    if (is_unclear) return std::nullopt;
  }
  if (may_have_children(process)) return std::nullopt;
  return false;
}

}  // namespace liveswap::master
