#pragma once

#include <optional>

#include "base/unique_fd.hpp"
#include "config/health.hpp"
#include "master/health/probe.hpp"
#include "master/sockets/sockets.hpp"
#include "master/uv/loop.hpp"

namespace liveswap::master {

// A connection to a listener, with a GET on it or without. What an answer says after its status line is read,
// so that the application need not see a reset, but up to 64 KiB only, and it is not judged.
class ProbeConnection final : public Probe {
 public:
  ProbeConnection(uv_loop_t& loop, const config::HealthProbe& probe, const SocketAddress& where,
                  const std::string& address, Milliseconds limit, Done done);

 private:
  void connect();
  void on_event();
  bool send_request();
  void receive();
  void judge();

  uv_loop_t& loop_;
  const config::HealthProbe probe_;
  const SocketAddress where_;
  const Milliseconds limit_time_;
  std::string request_;  // what has not been sent
  std::string head_;     // the first bytes of the answer
  std::size_t received_ = 0;
  bool connected_ = false;
  UniqueFd fd_;
  std::optional<Poll> poll_;
  Timer begin_;
  Timer limit_;
};

}  // namespace liveswap::master
