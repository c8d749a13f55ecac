#pragma once

#include <functional>
#include <string>

#include "master/sockets/bind_address.hpp"
#include "master/sockets/endpoint.hpp"
#include "spawn/received_fd.hpp"
#include "spawn/spawner.hpp"

namespace liveswap::master {

// An address that applications bind, with its sockets. The applications made these, so all options that
// they set are kept. The first worker that binds the address for a slot provides the socket; later workers
// of the slot get the same one.
//
// A slot has no socket in the set before a worker of the slot binds the address. A socket becomes unwanted
// when the worker closes it or a successor does not bind the address. Unwanted sockets remain in the
// SO_REUSEPORT group, because only the last member can leave (reuseport_group.hpp), but get no connections.
class AppEndpoint : public Endpoint {
 public:
  // Whether `address` means this endpoint. Unnamed addresses match by `nth`: the worker's n-th such bind.
  bool is_for(const BindAddress& address, unsigned nth) const;

  // Unique while the master runs, and the same after a drop and a new bind: the address, or the number of
  // an address that the kernel chose.
  std::string key() const;

  // The application makes the sockets.
  Result<void> prepare(unsigned, unsigned) override { return {}; }

  // Takes the application's unbound socket and binds it. 0 or an errno. `as`: the user that will own a Unix
  // socket's file.
  virtual int add(unsigned set, unsigned slot, spawn::ReceivedFd socket,
                  const std::optional<spawn::Identity>& as) = 0;
  // Lets the slot's socket listen, with at least that backlog. 0 or an errno.
  virtual int listen(unsigned set, unsigned slot, int backlog) = 0;
  // The slot's socket, listening or not. Borrowed; -1: none.
  virtual int held(unsigned set, unsigned slot) const = 0;
  // As held(), but for a worker that binds now: -1 if clients cannot reach the socket because the file is
  // gone.
  virtual int reachable(unsigned set, unsigned slot) const { return held(set, slot); }

  // Which sockets shall get connections, from the next point() on. Called for each socket (a shared one has
  // slot 0). `served`: wanted before.
  using Wanted = std::function<bool(unsigned set, unsigned slot, bool served)>;
  // True: a socket has become unwanted.
  virtual bool want(const Wanted& wanted) = 0;
  // Resets the connections that wait in unwanted sockets.
  virtual void clear_unwanted() = 0;

  // TCP sockets that listen but are unwanted: no worker serves their connections.
  virtual std::vector<int> unwanted() const { return {}; }
  // Of all sockets, also those that do not listen.
  virtual std::vector<std::uint64_t> cookies() const { return {}; }
  // Withdraws the sockets, so that new connections go to other endpoints, and makes them unwanted. False:
  // impossible.
  virtual bool leave() { return false; }
  // Call if a draining worker still polls the sockets: the destructor then does not shut them down.
  virtual void spare() = 0;

  // The endpoint listens or has listened, or is UDP.
  virtual bool in_use() const = 0;
  bool is_datagram() const { return asked_.is_datagram(); }
  // Whether the kernel refuses to bind both addresses.
  bool excludes(const BindAddress& address) const { return where().excludes(address); }
  bool excludes(const AppEndpoint& other) const { return where().excludes(other.where()); }

  // The requested address, with the port that the kernel chose.
  virtual const BindAddress& where() const = 0;

  void save(state::EndpointState& into) const override;

 protected:
  // As repair_socket(). A socket may block until first seen non-blocking, but not afterwards, because
  // workers rely on it. `nonblocking`: stored with the socket, false at first.
  bool repair_app_socket(int fd, int backlog, bool& nonblocking) const;

  explicit AppEndpoint(const state::EndpointState& from);
  AppEndpoint(const BindAddress& asked, unsigned nth) : Endpoint(asked.text()), asked_(asked), nth_(nth) {}
  const BindAddress& asked() const { return asked_; }

 private:
  BindAddress asked_;
  unsigned nth_;
};

}  // namespace liveswap::master
