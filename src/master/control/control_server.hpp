#pragma once

#include <functional>
#include <list>
#include <map>
#include <memory>
#include <string>

#include "base/error.hpp"
#include "base/unique_fd.hpp"
#include "master/control/control_connection.hpp"
#include "protocol/instance.hpp"
#include "protocol/message.hpp"

namespace liveswap::master {

namespace state {
struct ControlState;
}

// The Unix and the TCP socket of the control protocol (docs/reference/control-protocol.md). Passes valid,
// permitted commands to the master and returns its answers. All input is untrusted until checked here.
// Without memory (base/reserve.hpp), or if a system call fails, a client gets one fixed line or waits; the
// sockets stay open.
class ControlServer {
 public:
  // `connection`: for find(), when the answer is there.
  using OnCommand = std::function<void(ConnectionId connection, const protocol::Command&)>;

  // An empty token: TCP clients need none.
  struct Settings {
    protocol::Instance instance;
    std::string address;
    std::string token;
  };
  static Result<std::unique_ptr<ControlServer>> open(uv_loop_t& loop, Settings settings,
                                                     OnCommand on_command);
  // The sockets and clients of the former image of this program.
  static Result<std::unique_ptr<ControlServer>> adopt(uv_loop_t& loop, Settings settings,
                                                      const state::ControlState& from, OnCommand on_command);
  ~ControlServer();

  // Sockets and clients, for the next image. Left out: clients with a command, except for `asked`, and those
  // that have not received everything.
  state::ControlState save(ConnectionId asked) const;
  // Whether a long answer is being sent.
  bool is_sending() const;
  // The client that waits for the answer to `reexec`, of the former image; 0: none.
  ConnectionId asked() const { return asked_; }

  // nullptr: the connection has closed.
  ControlConnection* find(ConnectionId connection);

  // The client for the receipt: "uid 1000, pid 4242", or "127.0.0.1:4711 over TCP"; empty if the connection
  // has closed. As the kernel reported when the client connected: the process may have ended since, and
  // another may have its pid.
  std::string peer(ConnectionId connection) const;

 private:
  struct ListeningSocket;
  struct Client {
    std::unique_ptr<ControlConnection> connection;
    std::string peer;
  };
  explicit ControlServer(uv_loop_t& loop, Settings settings, OnCommand on_command);
  Result<void> open_socket(UniqueFd fd, bool local);
  void accept(ListeningSocket& socket);
  ConnectionId admit(UniqueFd client, bool local);
  UniqueFd take_client(const ListeningSocket& socket);
  bool make_room(bool local);
  bool end_oldest(bool local);
  protocol::Json about_itself(const std::string& peer) const;
  bool permitted(bool local, const protocol::Command& command) const;
  void on_line(ConnectionId id, const std::optional<std::string>& line);

  uv_loop_t& loop_;
  Settings settings_;
  OnCommand on_command_;
  UniqueFd socket_lock_;
  std::map<ConnectionId, Client> connections_;
  std::list<ListeningSocket> sockets_;
  ConnectionId last_id_ = 0;
  ConnectionId asked_ = 0;
};

}  // namespace liveswap::master
