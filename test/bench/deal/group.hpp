#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <string>
#include <vector>

namespace deal {

// How new connections get to the workers of one address.
enum class Way {
  by_hash,  // a socket for each worker, chosen by the kernel's hash: `--listen-mode reuseport`
  shared,   // one socket for all: `--listen-mode shared`
  in_turn,  // a socket for each, chosen in turn by an eBPF program
  fewest,   // a socket for each: an eBPF program chooses the worker with the fewest open connections
};

constexpr unsigned most_workers = 16;

// Memory that the eBPF program and the workers share. `given`: connections that the program has given to a
// worker. `closed`: those that the worker has closed.
struct Counts {
  std::array<std::atomic<std::uint64_t>, most_workers> given, closed;
  std::atomic<std::uint64_t> turn;
};

// The listening sockets of one loopback address. Needs root for the eBPF programs. Throws std::runtime_error.
class Group {
 public:
  Group(Way way, unsigned workers);
  ~Group();
  Group(const Group&) = delete;
  Group& operator=(const Group&) = delete;

  int socket_of(unsigned worker) const { return sockets_[way_ == Way::shared ? 0 : worker]; }
  Counts& counts() const { return *counts_; }
  std::uint16_t port() const { return port_; }

 private:
  void steer();

  Way way_;
  std::vector<int> sockets_, maps_;
  Counts* counts_ = nullptr;
  std::uint16_t port_ = 0;
};

}  // namespace deal
