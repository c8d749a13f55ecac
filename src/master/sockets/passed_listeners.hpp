#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "liveswap.hpp"
#include "master/sockets/bind_address.hpp"
#include "systemd/environment.hpp"
#include "systemd/stored_sockets.hpp"

namespace liveswap::master {

// The address of a listening stream socket.
BindAddress address_of_passed(int fd);

// The listening sockets that the service manager has passed to this start, by listener. They come
//
//   from a socket unit   under the name that the unit gives. If `--listen` has that name, the addresses must
//                        agree; otherwise a listener of `--listen` at that address gets the socket;
//                        otherwise the socket is a further listener.
//   from the store       under the names that an earlier master gave (systemd::stored_name). A listener of
//                        that name and address goes on with them. Others are shut down.
class PassedListeners {
 public:
  PassedListeners() = default;
  // Those that were passed to this process (systemd::take_sockets).
  static Result<PassedListeners> take(std::vector<Listener>& wanted);
  // Adds the further listeners to `wanted`. Fails if a socket unit has passed what is no listening TCP or
  // Unix stream socket, or another address than `--listen` says. May block on name look-ups.
  static Result<PassedListeners> match(std::vector<systemd::PassedSocket> sockets,
                                       std::vector<Listener>& wanted);

  // Moves it out: the socket of a socket unit; empty: none.
  UniqueFd take_activated(const std::string& listener);
  // Moves them out: those of the store, in the order of their numbers in the SO_REUSEPORT group; empty: none.
  std::vector<UniqueFd> take_stored(const std::string& listener);
  // All that the store has passed, those of no listener too.
  const systemd::StoredSockets& in_store() const { return in_store_; }

 private:
  Result<void> add_activated(systemd::PassedSocket socket, std::vector<Listener>& wanted);
  void add_stored(const systemd::StoredName& name, UniqueFd fd, const std::vector<Listener>& wanted);

  std::map<std::string, UniqueFd> activated_;
  std::map<std::string, std::map<unsigned, UniqueFd>> stored_;
  systemd::StoredSockets in_store_;
};

}  // namespace liveswap::master
