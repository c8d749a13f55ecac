#pragma once

#include <optional>
#include <string>

#include "master/sockets/listeners.hpp"
#include "master/uv/loop.hpp"
#include "rollout/engine.hpp"
#include "systemd/announcement.hpp"
#include "systemd/notify_socket.hpp"
#include "systemd/stored_sockets.hpp"

namespace liveswap::master {

// Tells the service manager that has started this master its state, and has the manager keep the listening
// sockets for the next start. Does nothing without $NOTIFY_SOCKET. A message that cannot be sent never
// hinders the master: if the manager's queue is full, it is made anew a moment later.
class ServiceManager {
 public:
  // `wanted`: Options::service.
  ServiceManager(uv_loop_t& loop, bool wanted, const rollout::Engine& engine, const Listeners& listeners);

  // The manager is there: listening sockets stay open when the master exits.
  bool is_there() const { return socket_.has_value(); }
  // Call after each change of the engine or of the listeners. Phases are told at once, details soon.
  void follow();
  // Call before a reload that the manager may have asked for (SIGHUP): the manager waits for its begin and
  // end also if the reload is refused.
  void begin_reload();
  // Call before the program is executed anew: the manager hears of the begin, and waits for the watchdog
  // anew. The end is told by the next program, or by follow().
  void begin_execution();
  // The sockets that the manager has been told to keep.
  const systemd::StoredSockets& stored() const { return stored_; }

 private:
  systemd::Phase phase() const;
  systemd::Summary summary() const;
  void tell();
  bool update_store();
  void extend_limit();
  void beat();
  void soon();
  bool send(const std::string& text, int fd = -1);

  const rollout::Engine& engine_;
  const Listeners& listeners_;
  std::optional<systemd::NotifySocket> socket_;
  systemd::Announcement announcement_;
  systemd::StoredSockets stored_;
  Milliseconds beat_every_{0};
  bool is_soon_ = false;
  bool is_limited_ = false;  // a time limit of the manager runs
  Timer details_;
  Timer limit_;
  Timer watchdog_;
};

}  // namespace liveswap::master
