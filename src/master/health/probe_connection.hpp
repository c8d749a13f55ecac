#pragma once

#include <optional>

#include "base/unique_fd.hpp"
#include "config/health.hpp"
#include "master/health/probe.hpp"
#include "master/sockets/sockets.hpp"
#include "master/uv/loop.hpp"

namespace liveswap::master {

// Connects to a listener and, if configured, sends a GET. Only the status line counts; up to 64 KiB of the
// rest are read so that the application sees no reset.
class ProbeConnection final : public Probe {
 public:
  ProbeConnection(uv_loop_t& loop, const config::HealthProbe& probe, const SocketAddress& where,
                  const std::string& address, Milliseconds limit, Done done);
  // Of a connection that is established already; without a limit. `address`: for the request.
  ProbeConnection(uv_loop_t& loop, const config::HealthProbe& probe, UniqueFd connection,
                  const std::string& address, Done done);

 private:
  void connect();
  void watch();
  void on_event();
  bool send_request();
  void receive();
  void judge();

  uv_loop_t& loop_;
  const config::HealthProbe probe_;
  const SocketAddress where_;
  const Milliseconds limit_time_{0};
  std::string request_;  // not sent yet
  std::string head_;     // the first bytes of the answer
  std::size_t received_ = 0;
  bool connected_ = false;
  UniqueFd fd_;
  std::optional<Poll> poll_;
  Timer begin_;
  Timer limit_;
};

}  // namespace liveswap::master
