#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "master/sockets/socket_file.hpp"

namespace liveswap::master {

struct BindAddress;
namespace state {
struct EndpointState;
struct ListenersState;
}  // namespace state

// The state of a Unix socket's file.
struct FileReport {
  enum class Kind {
    fine,
    mended,    // was missing; leads to the same socket again
    replaced,  // was missing; leads to a new socket, which workers with the old one need
    lost,      // clients cannot connect
  } kind = Kind::fine;
  std::string text;          // for people; empty if fine
  std::uint64_t former = 0;  // replaced: the cookie of the old socket
};

// Whether two paths name the same directory entry: "/run/./app.sock", "/run//app.sock".
bool same_entry(const std::string& one, const std::string& other);

// One address and all sockets that listen there, in numbered sets (listeners.hpp). Within a set there is
// one socket for each slot, or one for all slots.
class Endpoint {
 public:
  explicit Endpoint(std::string name) : name_(std::move(name)) {}
  Endpoint(const Endpoint&) = delete;
  Endpoint& operator=(const Endpoint&) = delete;
  virtual ~Endpoint() = default;

  const std::string& name() const { return name_; }
  virtual std::string address() const = 0;

  // Writes all members into `into`, for the next image of the program, whose constructor takes the value and
  // the descriptors in it (master/state/socket_state.hpp).
  virtual void save(state::EndpointState& into) const;

  // Makes the missing sockets of a set for `slots` slots. Connections come only after point(), but new
  // slots of the current set may get some at once. On failure nothing changes.
  virtual Result<void> prepare(unsigned set, unsigned slots) = 0;
  // Directs new connections to this set: to the slots below `slots` that are not in `without`, or to all
  // below `slots` if none is left. On failure nothing changes.
  virtual Result<void> point(unsigned set, unsigned slots, const std::set<unsigned>& without) = 0;
  // Discards what point() kept for a way back.
  virtual void settle() {}
  // The set is not current and no worker accepts on it: resets the connections that still wait.
  virtual void retire(unsigned set) = 0;
  // Removes the slots from this number on from every set.
  virtual void shrink(unsigned slots) = 0;
  // Whether each slot may have a socket of its own (--listen-mode reuseport).
  virtual bool can_spread() const { return false; }
  // From now on a set has a socket for each slot, or one for all. Makes missing sockets of `set` for `slots`
  // slots, which get connections by the next point(). On failure nothing changes.
  virtual Result<void> spread(bool /*per_slot*/, unsigned /*set*/, unsigned /*slots*/) { return {}; }
  // The length of accept queues, from now on. Listeners of applications keep theirs.
  virtual void set_backlog(int) {}
  // Listens again if an application has shut down a shared socket, with the former backlog and O_NONBLOCK.
  virtual void repair() = 0;
  // The same for the sockets that workers of this slot have.
  virtual void repair_of(unsigned /*slot*/) { repair(); }

  // Replaces the socket with that cookie, which an application has spoilt. New connections go to the new
  // socket; those queued in the old one stay for the workers that have it. Returns the new socket,
  // borrowed; -1: impossible.
  virtual int renew(std::uint64_t /*cookie*/) { return -1; }

  // Borrowed. -1: none: the application has not opened it yet (app_endpoint.hpp), or the slot is removed
  // while the worker drains. Of a lent endpoint: by Lent::socket_of().
  virtual int socket(unsigned set, unsigned slot) const = 0;
  // All sockets of a set, by slot if there is one for each slot; -1: none listens there.
  virtual std::vector<int> sockets(unsigned set) const = 0;
  virtual bool per_slot() const = 0;
  // The sockets that the service manager shall keep for the next start, in the order of their numbers in the
  // SO_REUSEPORT group; borrowed.
  virtual std::vector<int> to_keep() const { return {}; }
  // From now on the destructor closes those, and does not shut them down.
  void leave_open() { is_left_open_ = true; }

  // Whether new connections come in. What waits in the accept queues stays there.
  enum class Door {
    open,  // at first
    held,  // for now: a TCP client repeats its first packet until the door opens; a Unix socket's file is
           // hidden
    abandoned,  // for good: clients are refused, other sockets can be bound to the address
  };
  Door door() const { return door_; }
  void set_door(Door door);
  bool is_abandoned() const { return door_ == Door::abandoned; }

  // The address as `--listen` gave it; empty: none.
  virtual std::string configured() const { return ""; }
  // The service manager has bound the socket.
  virtual bool is_passed() const { return false; }
  void rename(std::string name) { name_ = std::move(name); }
  // Whether an application that binds this address means this endpoint.
  virtual bool is_at(const BindAddress& address) const = 0;
  // Whether `file` is the Unix socket at the endpoint's path.
  virtual bool is_file(const struct stat&) const { return false; }
  // Whether `path` was given to the endpoint as a name, and is not just another link to the file.
  virtual bool is_known_as(const std::string& path) const { return same_entry(path, file()); }
  // The path of a Unix socket's file; empty: none.
  virtual std::string file() const { return ""; }
  // All paths of the file to watch: a missing file cannot be watched.
  virtual std::vector<std::string> watched() const { return {}; }
  // Checks the file and recreates a missing one.
  virtual FileReport mend_file() { return {}; }
  // Sets the mode that an application asks for, as the user `as`, if that user may.
  virtual void take_mode(mode_t, const std::optional<spawn::Identity>& /*as*/) {}
  // A worker host has recreated the file: to be reported by the next mend_file().
  void note_mended() { was_mended_ = true; }
  // The cookies of pending handshakes; nullopt: unknown. A Unix socket has none: connect() completes at once.
  virtual std::optional<std::set<std::uint64_t>> handshakes() const { return std::set<std::uint64_t>(); }

 protected:
  explicit Endpoint(const state::EndpointState& from);
  // Mends the file, and logs what has changed. `replace` is called if a new socket must be bound to the path,
  // and returns the cookie of the old one.
  FileReport mend(SocketFile& file, const std::function<Result<std::uint64_t>()>& replace);
  // Resets the connections that wait in a socket now, and logs their number.
  void turn_away(int fd) const;
  // Resets them and shuts the socket down, so that the address becomes free even if other processes have
  // the socket.
  void shut_down(int fd) const;
  bool is_left_open() const { return is_left_open_; }
  virtual void move_door(Door) {}
  // True: the socket had been shut down. Not for Unix sockets, for which a shutdown is final.
  bool repair_socket(int fd, int backlog, bool nonblocking = true) const;

 private:
  void tell_reset(std::size_t count) const;
  FileReport report_file(FileReport::Kind kind, std::string text = {}, std::uint64_t former = 0);

  std::string name_;
  bool was_mended_ = false;
  bool is_left_open_ = false;
  Door door_ = Door::open;
  std::string lost_;  // the last report of a lost file
};

}  // namespace liveswap::master
