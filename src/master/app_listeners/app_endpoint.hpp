#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/unique_fd.hpp"
#include "master/sockets/bind_address.hpp"
#include "master/sockets/endpoint.hpp"
#include "spawn/received_fd.hpp"
#include "spawn/spawner.hpp"

namespace liveswap::master {

// An address that applications bind themselves, and the sockets there: those that the applications made, so
// that every option they set is kept. The first worker that binds the address for a slot gives its socket;
// whoever comes later for that slot gets the same one.
//
// So a set may be sparse: a slot whose worker has not bound the address, or not yet, has no socket. And a
// socket may be unwanted: its worker has closed it, or a successor does not bind it. Such a one stays among
// those that the kernel deals connections to, for a socket can leave these only as the last one
// (tcp_endpoint.hpp), but gets none.
class AppEndpoint : public Endpoint {
 public:
  // Whether `address` means this endpoint; an unnamed one: the n-th that a worker leaves to the kernel.
  bool is_for(const BindAddress& address, unsigned nth) const;

  // What tells it from others as long as this master runs, also after it was dropped and bound again: the
  // address, or which of those that an application leaves to the kernel.
  std::string key() const;

  // Takes the application's socket, which is not bound, and binds it. 0, or an errno. `as`: whose file it
  // becomes.
  virtual int add(unsigned set, unsigned slot, ReceivedFd socket, const std::optional<Identity>& as) = 0;
  // The socket of that slot listens from now on, with at least that backlog. 0, or an errno.
  virtual int listen(unsigned set, unsigned slot, int backlog) = 0;
  // The socket for that slot, also one that does not listen yet. Borrowed; -1: there is none.
  virtual int held(unsigned set, unsigned slot) const = 0;
  // As held(), but for whoever binds now: not a socket that nobody can reach any more, since its file is
  // gone.
  virtual int reachable(unsigned set, unsigned slot) const { return held(set, slot); }

  // Which sockets shall get connections: holds from the next point() on. Asked for every one; slot 0 of one
  // that all slots share. `served`: whether it was wanted before.
  using Wanted = std::function<bool(unsigned set, unsigned slot, bool served)>;
  // True: one is not wanted that was, or that has been unknown.
  virtual bool want(const Wanted& wanted) = 0;
  // Resets what waits in the sockets that are not wanted.
  virtual void clear_unwanted() = 0;

  // TCP sockets that listen and are not wanted: whoever comes to one of them is served by nobody here.
  virtual std::vector<int> unwanted() const { return {}; }
  // Of every socket, also one that does not listen.
  virtual std::vector<std::uint64_t> cookies() const { return {}; }
  // From now on its connections go to others that are bound there, and all that it still gets counts as not
  // wanted. False: there is no such way.
  virtual bool leave() { return false; }
  // A worker that drains by itself polls its sockets until it goes: they are not to be shut down under it at
  // the end.
  virtual void spare() = 0;

  // Somebody serves here, or has: it listens, or needs no listen().
  virtual bool in_use() const = 0;
  bool is_datagram() const { return asked_.is_datagram(); }
  // Whether no process can have this and that address both.
  bool excludes(const BindAddress& address) const { return where().excludes(address); }
  bool excludes(const AppEndpoint& other) const { return where().excludes(other.where()); }

  // As asked for, with the port that the kernel chose.
  virtual const BindAddress& where() const = 0;

 protected:
  // As repair_socket(). Whether a socket blocks is the applications' affair, but one that did not once never
  // does again: others count on it. `nonblocking` is kept with the socket, false at first.
  bool repair_taken(int fd, int backlog, bool& nonblocking) const;

  AppEndpoint(const BindAddress& asked, unsigned nth) : Endpoint(asked.text()), asked_(asked), nth_(nth) {}
  const BindAddress& asked() const { return asked_; }

 private:
  BindAddress asked_;
  unsigned nth_;
};

}  // namespace liveswap::master
