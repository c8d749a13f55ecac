#pragma once

#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "liveswap.hpp"
#include "master/app_listeners/app_endpoint.hpp"
#include "master/sockets/endpoint.hpp"
#include "master/sockets/pending_handshakes.hpp"
#include "master/workers/left_behind.hpp"

namespace liveswap::master {

// The listening sockets, bound once and kept for the master's life; workers inherit them.
//
// A TCP listener in reuseport mode has a socket for each slot. The kernel deals new connections to all of
// them, so a slot that shall vanish, or that nobody serves for a while, is steered around first
// (steering.hpp). What such a slot was given before stays in its accept queue: waiting().
//
// Flip. Two versions that must not serve side by side cannot share sockets. So there may be a second set of
// sockets at the same addresses: stage() makes it, of_slot(slot, true) are its sockets, and it gets no
// connection before flip(), which makes it the live one at one moment. The former set still has what the
// kernel had already given to it; its workers accept until waiting_in_old() is 0 and may then stop:
//
//     stage() → spawn the successors, with hold(true) each → all ready → flip() → … waiting_in_old() == 0 →
//     drain the old
//
// No socket of a set is closed by a flip. A set is used again once nobody holds it, so there are as many as
// there are generations that live at once.
class Listeners {
 public:
  // Kept as long as a process may accept on the sockets of a set.
  using Hold = std::shared_ptr<const void>;

  // Binds everything, or fails and binds nothing. Blocks on name look-ups.
  static Result<Listeners> open(const std::vector<Listener>& wanted, ListenMode mode, int backlog,
                                unsigned slots);
  Listeners(Listeners&&) = default;
  Listeners& operator=(Listeners&&) = delete;

  // More slots, for reuseport sets. On failure there are as many as before.
  Result<void> grow(unsigned slots);
  // Gives the slots from this number on up; what still waits for them is reset.
  void shrink(unsigned slots);
  // New connections go to the slots below `slots` that are not in `without`; to all when that leaves none.
  // Holds for the live set, also for one that becomes it.
  void steer(unsigned slots, const std::set<unsigned>& without);

  // Makes the staged set. On failure there is none, and nothing has changed.
  Result<void> stage();
  bool staged() const { return staged_.has_value(); }
  // The staged set is not needed any more. Nothing happens when there is none.
  void unstage();
  // From now on new connections go to the staged set, to all of its slots. On failure, for every listener,
  // they go where they went, and the set is still staged.
  Result<void> flip();
  // Connections that wait for a worker in sets that are no longer live, those whose handshake was under way
  // at the last flip included; sets that nobody holds do not count. At least 1 for the first moments after a
  // flip, so that 0 is the last word. Ask every 10 ms or so, with a limit: a client that never completes its
  // handshake counts for a minute.
  std::size_t waiting_in_old();

  // Connections in the accept queues that only this slot's workers serve: none in shared mode.
  std::size_t waiting(unsigned slot) const;
  struct Depth {
    std::string name;
    std::optional<std::size_t> waiting;  // none: the kernel does not say
  };
  // The accept queues of each listener, summed up over its sockets.
  std::vector<Depth> depth() const;

  // Beside those that were asked for there are endpoints that applications bind themselves (takeover.hpp).
  // They are steered, flipped and repaired with the others, and come and go.
  void take(std::unique_ptr<AppEndpoint> endpoint);
  void drop(const AppEndpoint& endpoint);
  const std::vector<AppEndpoint*>& taken() const { return taken_; }
  // The endpoint that an application means by that address; an unnamed one: the n-th. nullptr: there is none.
  Endpoint* find(const BindAddress& address, unsigned nth) const;
  // The one of these sockets that listens and has that cookie; borrowed. No endpoint: there is none.
  struct Found {
    Endpoint* endpoint = nullptr;
    int fd = -1;
  };
  Found with_socket(std::uint64_t cookie) const;
  // Whether one of all these sockets has that cookie.
  bool has_socket(std::uint64_t cookie) const;
  // Whether that file is a Unix socket of ours, and the path the one that clients find it by, not another
  // link.
  bool is_ours(const std::string& path, const struct stat& file) const;
  // That has the file at this path; nullptr: none.
  Endpoint* with_file(const std::string& path) const;
  // As last asked for, for sockets that have come since or are wanted again.
  void steer_again() { steer(steered_, without_); }

  // Undoes what an application may have done to sockets that all generations share: a shutdown(), a smaller
  // backlog, blocking mode. Says in the log what it found. Cheap: to be called whenever a worker may have.
  void repair();

  // The sockets a worker of that slot gets, in the order of the listeners; borrowed. Whoever gets them keeps
  // hold(), taken at the same time, until it has gone.
  std::vector<int> of_slot(unsigned slot, bool staged = false) const;
  Hold hold(bool staged = false) const;
  unsigned set_of(const Hold& hold) const;
  // The endpoints that of_slot() has the sockets of.
  std::vector<Endpoint*> lent() const;
  // Looks whether the files of Unix sockets are in their places, and makes them again where they are missing.
  struct Mended {
    Endpoint* endpoint;
    FileReport report;
  };
  std::vector<Mended> mend_files();  // those that are not fine
  std::vector<std::string> watched() const;
  // Where all of them listen.
  ListeningPlaces places() const;
  // All of them, in every set.
  ListeningSockets listening() const;
  // "name,name"
  std::string names() const;

  struct Bound {
    std::string name;
    std::string address;  // with the port that the kernel chose
    bool taken = false;   // bound by applications
  };
  std::vector<Bound> bound() const;

 private:
  Listeners() = default;
  unsigned set_of(bool staged) const { return staged ? *staged_ : live_; }
  bool is_free(unsigned set) const;

  std::vector<std::unique_ptr<Endpoint>>
      endpoints_;                                  // those asked for, then those taken; each knows every set
  std::size_t lent_ = 0;                           // so many were asked for
  std::vector<AppEndpoint*> taken_;                // the others
  std::vector<std::shared_ptr<const int>> holds_;  // by set
  unsigned live_ = 0;
  std::optional<unsigned> staged_;
  unsigned slots_ = 0;    // that sets have sockets for
  unsigned steered_ = 0;  // as steer() was told
  std::set<unsigned> without_;
  std::optional<PendingHandshakes>
      pending_handshakes_;  // since the last flip, until its last handshake has ended
};

}  // namespace liveswap::master
