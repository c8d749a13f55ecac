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

// Finds listening sockets on which no worker accepts, and sockets that an application has shut down by a
// raw system call.
//
// A socket is polled until a connection arrives, then checked every 500 ms; once the accept queue is empty,
// polled again. So a listener costs two wake-ups a second under traffic, and none without. If a queue is
// never empty, the workers may be busy, hang, or no longer have the socket: the handler `waiting` must find
// out which.
class QueueWatch {
 public:
  // A socket, and the slots of the workers that accept from it.
  struct Place {
    int fd = -1;  // borrowed by watch(), which keeps a duplicate
    std::string listener;
    std::vector<unsigned> slots;
    std::uint64_t cookie = 0;  // of the socket: the number of a closed descriptor is used again
    bool operator==(const Place&) const = default;
  };
  struct Handlers {
    // A socket no longer listens; the handler must repair that before returning.
    std::function<void()> shut_down;
    // Connections waited in the socket with this inode at several checks. May call watch().
    std::function<void(const Place& place, ino_t inode)> waiting;
  };
  QueueWatch(uv_loop_t& loop, Handlers handlers);

  // Replaces the watched sockets. Cheap if nothing has changed.
  void watch(const std::vector<Place>& places);

 private:
  struct Entry {
    Place place;
    UniqueFd socket;     // declared before `poll`, which must be destroyed first
    unsigned looks = 0;  // checks at which connections waited
    bool awake = false;  // checked by the timer, not polled
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

// Whether a process has the socket with this inode open. nullopt: unknown, since /proc does not say, or the
// process has thousands of descriptors, children, or an io_uring that may hold the socket without a
// descriptor. Takes a few milliseconds at most.
std::optional<bool> has_socket_open(pid_t pid, ino_t inode);

}  // namespace liveswap::master
