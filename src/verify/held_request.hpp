#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "base/error.hpp"
#include "base/unique_fd.hpp"

namespace liveswap::verify {

// A slow client: a request that has begun and is finished when it is told to. Of plain connects, a connection
// that is open and ended later. Every step has a limit.
class HeldRequest {
 public:
  // Connects and sends all but the end of the request.
  static Result<HeldRequest> begin(const std::string& address, bool connect, const std::string& path);

  // Of its own side of the connection.
  std::uint16_t port() const { return port_; }

  // Sends the end, and reads until the answer is complete (of plain connects: until the server has closed).
  // An error says what came instead.
  Result<void> finish();

 private:
  HeldRequest(UniqueFd fd, bool connect);
  Result<void> read_answer();

  UniqueFd fd_;
  bool connect_;
  std::uint16_t port_;
};

}  // namespace liveswap::verify
