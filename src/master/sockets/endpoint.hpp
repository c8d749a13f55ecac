#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "spawn/spawner.hpp"

namespace liveswap::master {

struct BindAddress;

// What became of the file of a Unix socket that clients find it by.
struct FileReport {
  enum class Kind {
    fine,
    mended,    // it was missing, and leads to the socket again
    replaced,  // it was missing, and leads to another socket: workers that have the one before need this one
    lost,      // nobody can connect
  } kind = Kind::fine;
  std::string text;          // for people; "" when fine
  std::uint64_t former = 0;  // of `replaced`: the cookie of the socket before
};

// Whether two paths name the same entry of the same directory: "/run/./app.sock", "/run//app.sock".
bool same_entry(const std::string& one, const std::string& other);

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

  // Puts another socket in the place of the one with that cookie, which an application has spoilt: new
  // connections go to it, what waits in the former one stays there for the workers that have it. Returns it,
  // borrowed; -1: there is no such way.
  virtual int renew(std::uint64_t /*cookie*/) { return -1; }

  // Borrowed; -1: there is none: an application has not opened it yet (taken_endpoint.hpp), or the slot has
  // been given up while its worker still leaves.
  virtual int socket(unsigned set, unsigned slot) const = 0;
  // All of a set; by slot when there is one a slot. -1 where none listens.
  virtual std::vector<int> sockets(unsigned set) const = 0;
  virtual bool per_slot() const = 0;
  // Whether an application that binds a socket of its own there means this endpoint.
  virtual bool is_at(const BindAddress& address) const = 0;
  // Whether that file is the endpoint's, a Unix socket at its path.
  virtual bool is_file(const struct stat&) const { return false; }
  // Whether that path is a name which it was given, and not just another link to its file.
  virtual bool is_known_as(const std::string& path) const { return same_entry(path, file()); }
  // The path of a Unix socket's file; "": there is none.
  virtual std::string file() const { return ""; }
  // Every name of it, for a name that is missing cannot be watched.
  virtual std::vector<std::string> watched() const { return {}; }
  // Looks whether the file is in its place, and makes it again where it is missing.
  virtual FileReport mend_file() { return {}; }
  // An application wants its file to have this mode: set as the user `as`, where that one may.
  virtual void take_mode(mode_t, const std::optional<Identity>& /*as*/) {}
  // A worker host has made the file again: told by the next mend_file().
  void note_mended() { was_mended_ = true; }
  // The kernel's names of the handshakes that are under way; none when it does not say.
  virtual std::optional<std::set<std::uint64_t>> handshakes() const = 0;

 protected:
  // Says in the log what is new in it. `text` is not needed where it is fine or mended.
  FileReport report_file(FileReport::Kind kind, std::string text = {}, std::uint64_t former = 0);
  // Resets the connections that wait in a socket, and says so in the log; not those that come meanwhile.
  void turn_away(int fd) const;
  // The same, and none comes any more: shut down, it leaves its address to others whoever still has it.
  void shut_down(int fd) const;
  void rename(std::string name) { name_ = std::move(name); }
  // True when the socket had been shut down. Of Unix sockets that is for ever: not to be called for such a
  // one.
  bool repair_socket(int fd, int backlog, bool nonblocking = true) const;

 private:
  void tell_reset(std::size_t count) const;

  std::string name_;
  bool was_mended_ = false;
  std::string lost_;  // what was said last of a file that is lost
};

}  // namespace liveswap::master
