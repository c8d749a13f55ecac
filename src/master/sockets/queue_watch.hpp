#pragma once

#include <sys/types.h>

#include <functional>
#include <list>
#include <optional>
#include <string>
#include <vector>

#include "base/unique_fd.hpp"
#include "master/uv/loop.hpp"

namespace liveswap::master {

// Finds listening sockets that nobody accepts on, and such that an application has shut down by a system call
// of its own.
//
// A socket is watched until a connection arrives. Then it is not watched for half a second, and looked at:
// where nothing waits in its accept queue any more it is watched again. So a listener costs the master two
// wake-ups a second while connections come, and none while none come. A queue that is not empty again and
// again may be that of workers which are busy, hang, or do not have the socket any more: the owner finds out
// which.
class QueueWatch {
 public:
  // A socket, and the slots whose workers accept on it.
  struct Place {
    int fd = -1;  // borrowed by watch(), which keeps a duplicate
    std::string listener;
    std::vector<unsigned> slots;
    bool operator==(const Place&) const = default;
  };
  struct Handlers {
    std::function<void()> shut_down;  // one of the sockets does not listen; it shall by the return
    // Connections have waited in it at several looks; its inode. May call watch().
    std::function<void(const Place& place, ino_t inode)> waiting;
  };
  QueueWatch(uv_loop_t& loop, Handlers handlers);

  // These from now on, and no others. Cheap where nothing has changed.
  void watch(const std::vector<Place>& places);

 private:
  struct Entry {
    Place place;
    UniqueFd socket;     // before `poll`, which must let go of it first
    unsigned looks = 0;  // at which connections waited
    bool awake = false;  // is looked at, and not watched
    std::optional<Poll> poll;
  };
  void arm(Entry& entry);
  void look_later();
  void look();
  bool look_at(Entry& entry);

  uv_loop_t& loop_;
  Handlers handlers_;
  Timer timer_;
  bool looking_ = false;
  std::vector<Place> places_;
  std::list<Entry> entries_;
};

// Whether a process has a socket open, by its inode; nothing where that cannot be known: /proc does not say,
// it has thousands of descriptors, children, or an io_uring, which may hold the socket without a descriptor.
// Takes some milliseconds at the most.
std::optional<bool> has_socket_open(pid_t pid, ino_t inode);

}  // namespace liveswap::master
