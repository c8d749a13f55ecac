#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <thread>

namespace nth {

// A client that opens a connection, sends a request and reads the answer, in a loop. It repeats no request:
// one without an answer is lost.
class Clients {
 public:
  explicit Clients(std::uint16_t port) : port_(port), thread_([this] { run(); }) {}
  ~Clients();

  // Stops the client while the tester starts and stops masters. Returns when no request is under way.
  void pause();
  void go_on();

  unsigned long answered() const { return answered_; }
  // The errors since the last call, with their counts.
  std::map<std::string, unsigned> take_lost();

 private:
  void run();
  std::string ask() const;

  const std::uint16_t port_;
  std::atomic<bool> ending_ = false;
  std::mutex asking_;
  std::atomic<unsigned long> answered_ = 0;
  std::mutex lock_;
  std::map<std::string, unsigned> lost_;
  std::thread thread_;
};

}  // namespace nth
