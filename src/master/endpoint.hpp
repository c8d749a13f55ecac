#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/error.hpp"

namespace liveswap::master {

struct TakenAddress;

// One address and every socket that listens there: those of the live set and of others (listeners.hpp), by
// the number of the set. The sockets of one set are the same for all slots, or one a slot.
class Endpoint {
 public:
  explicit Endpoint(std::string name) : name_(std::move(name)) {}
  Endpoint(const Endpoint&) = delete;
  Endpoint& operator=(const Endpoint&) = delete;
  virtual ~Endpoint() = default;

  const std::string& name() const { return name_; }
  virtual std::string address() const = 0;

  // Makes what a set lacks for so many slots. Connections come to the set only after point(); new slots of
  // the set that is pointed to may get some at once. On failure everything is as before.
  virtual Result<void> prepare(unsigned set, unsigned slots) = 0;
  // From now on new connections go to this set, to its slots below `slots` that are not in `without`, or to
  // all below `slots` when that leaves none. On failure they go where they went.
  virtual Result<void> point(unsigned set, unsigned slots, const std::set<unsigned>& without) = 0;
  // What point() left behind to be able to go back is not needed any more.
  virtual void settle() {}
  // Nobody accepts on that set any more, and it is not pointed to: who still waits is turned away.
  virtual void retire(unsigned set) = 0;
  // Gives the slots from this number on up, in every set.
  virtual void shrink(unsigned slots) = 0;
  // Listens again where an application has shut down what is shared, with backlog and O_NONBLOCK as they
  // were.
  virtual void repair() = 0;

  // Borrowed; -1: there is none: an application has not opened it yet (taken_endpoint.hpp), or the slot has been given
  // up while its worker still leaves.
  virtual int socket(unsigned set, unsigned slot) const = 0;
  // All of a set; by slot when there is one a slot. -1 where none listens.
  virtual std::vector<int> sockets(unsigned set) const = 0;
  virtual bool per_slot() const = 0;
  // Whether an application that binds a socket of its own there means this endpoint.
  virtual bool is_at(const TakenAddress& address) const = 0;
  // Whether that file is the endpoint's, a Unix socket at its path.
  virtual bool is_file(const struct stat&) const { return false; }
  // The kernel's names of the handshakes that are under way; none when it does not say.
  virtual std::optional<std::set<std::uint64_t>> handshakes() const = 0;

 protected:
  // Resets the connections that wait in a socket, and says so in the log; not those that come meanwhile.
  void turn_away(int fd) const;
  // The same, and none comes any more: shut down, it leaves its address to others whoever still has it.
  void shut_down(int fd) const;
  void rename(std::string name) { name_ = std::move(name); }
  // True when the socket had been shut down. Of Unix sockets that is for ever: not to be called for such a one.
  bool repair_socket(int fd, int backlog, bool nonblocking = true) const;

 private:
  void tell_reset(std::size_t count) const;

  std::string name_;
};

}  // namespace liveswap::master
