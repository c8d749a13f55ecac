#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "base/error.hpp"
#include "base/unique_fd.hpp"

namespace liveswap::verify {

// A slow client: begins a request and finishes it on demand. For plain connects: an open connection, closed
// on demand. Each step has a time limit.
class HeldRequest {
 public:
  // Connects and sends the request without its end.
  static Result<HeldRequest> begin(const std::string& address, bool connect, const std::string& path);

  // The client's port.
  std::uint16_t port() const { return port_; }

  // Sends the end and reads the complete answer; for plain connects, reads until the server closes. The error
  // says what was received instead.
  Result<void> finish();

 private:
  HeldRequest(UniqueFd fd, bool connect);
  Result<void> read_answer();

  UniqueFd fd_;
  bool connect_;
  std::uint16_t port_;
};

}  // namespace liveswap::verify
