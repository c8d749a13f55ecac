#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/unique_fd.hpp"
#include "master/sockets/listeners.hpp"

// Servers and clients for Listeners, as threads. They show whether a flip loses a connection, or lets the
// wrong version answer.
namespace liveswap::test {

// The workers of one generation: one thread for each slot answers each connection with the generation's
// number. Each has descriptors of its own, like a process.
class Generation {
 public:
  Generation(const master::Listeners& listeners, unsigned slots, std::uint32_t number, bool staged);
  ~Generation();
  // Stops accepting at once, even if connections wait; keeps the sockets.
  void stop();

 private:
  void serve(std::vector<int> sockets, std::uint32_t number);

  master::Listeners::Hold hold_;
  std::atomic<bool> stopped_ = false;
  std::vector<UniqueFd> own_;
  std::vector<std::thread> threads_;
};

// A client that connects, sends a request and waits for the answer, in a loop.
class Caller {
 public:
  // `live`: the generation that serves now. An answer must not come from an older generation than the one
  // that was live when the client connected.
  Caller(std::string address, const std::atomic<std::uint32_t>& live);
  // Ends the client. Returns "" if every connection was answered by the right generation.
  std::string finish();
  std::size_t answered() const { return answered_; }

 private:
  void run();
  std::string ask();

  std::string address_;
  const std::atomic<std::uint32_t>& live_;
  std::atomic<bool> stopped_ = false;
  std::atomic<std::size_t> answered_ = 0;
  std::string failure_;
  std::thread thread_;
};

// Connects to "127.0.0.1:80", "[::1]:80" or "unix:/path", blocking, with a time limit of 5 s. -1 and errno on
// failure.
UniqueFd dial(const std::string& address);

}  // namespace liveswap::test
