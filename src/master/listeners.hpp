#pragma once

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "base/unique_fd.hpp"
#include "liveswap.hpp"

namespace liveswap::master {

// The listening sockets, bound once and kept for the master's life; workers inherit them.
//
// A TCP listener in reuseport mode has a socket for each slot. The kernel deals new connections to all of them, so a
// slot that shall vanish, or that nobody serves for a while, is steered around first: a classic BPF program on the
// group chooses among the others (SO_ATTACH_REUSEPORT_CBPF, socket(7)). What such a slot was given before stays in
// its accept queue. The group numbers its sockets in the order in which they began to listen and moves the last one
// into a gap; slots are therefore opened upwards and closed downwards, and slot and number are the same.
class Listeners {
 public:
  // Binds everything, or fails and binds nothing. Blocks on name look-ups.
  static Result<Listeners> open(const std::vector<Listener>& wanted, ListenMode mode, int backlog, unsigned slots);
  Listeners(Listeners&&) = default;
  Listeners& operator=(Listeners&&) = delete;
  ~Listeners();  // removes the files of Unix sockets

  // More slots, for reuseport sets. On failure there are as many as before.
  Result<void> grow(unsigned slots);
  // Closes those of the slots from this number on.
  void shrink(unsigned slots);
  // New connections go to the slots below `slots` that are not in `without`; to all when that leaves none.
  void steer(unsigned slots, const std::set<unsigned>& without);

  // Undoes what an application may have done to sockets that all generations share: a shutdown(), a smaller backlog,
  // blocking mode. Says in the log what it found. Cheap: to be called whenever a worker may have.
  void repair();

  // The sockets a worker of that slot gets, in the order of the listeners; borrowed.
  std::vector<int> of_slot(unsigned slot, bool staged = false) const;
  void flip() {}
  std::size_t waiting_in_old() const { return 0; }
  std::vector<std::pair<std::string, std::optional<std::uint64_t>>> depth() const { return {}; }
  // "name,name"
  std::string names() const;

  struct Bound {
    std::string name;
    std::string address;  // with the port that the kernel chose
  };
  std::vector<Bound> bound() const;

 private:
  struct Set {
    Bound bound;
    bool per_slot = false;
    std::vector<UniqueFd> sockets;
    std::string path;  // of a Unix socket
    UniqueFd lock;     // held while the path is ours
    std::vector<unsigned> steered;  // empty: the kernel's own choice
  };
  Listeners() = default;
  static Result<Set> open_set(const Listener& wanted, ListenMode mode, int backlog, unsigned slots);
  static Result<Set> open_tcp(const Listener& wanted, ListenMode mode, int backlog, unsigned slots);

  std::vector<Set> sets_;
  int backlog_ = 0;
};

}  // namespace liveswap::master
