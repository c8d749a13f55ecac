#pragma once

#include <atomic>
#include <string>
#include <thread>

#include "support/connection.hpp"

namespace scenario {

// A client that makes one request after the other. A connection that was made must get its answer.
class Visitor {
 public:
  explicit Visitor(const std::string& address) : address_(address), thread_([this] { visit(); }) {}
  ~Visitor() {
    stop_ = true;
    thread_.join();
  }
  unsigned served() const { return served_; }
  unsigned broken() const { return broken_; }
  unsigned refused() const { return refused_; }

 private:
  void visit() {
    while (!stop_) {
      auto connection = Connection::attempt(address_);
      if (!connection) {
        ++refused_;
        let_pass(milliseconds(5));
        continue;
      }
      const bool answered = connection->send("GET / HTTP/1.1\r\nHost: x\r\n\r\n") &&
                            connection->read_all().starts_with("HTTP/1.1 200");
      ++(answered ? served_ : broken_);
    }
  }

  std::string address_;
  std::atomic<bool> stop_ = false;
  std::atomic<unsigned> served_ = 0, broken_ = 0, refused_ = 0;
  std::thread thread_;
};

}  // namespace scenario
