#pragma once

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "support/instance.hpp"
#include "support/port.hpp"
#include "support/sessions.hpp"

// For servers that follow a plan (binder.c), and for what they serve.
namespace scenario {

// A directory with the same plan for both versions of the binder.
std::string plan_of(const Scenario& scenario, const std::string& name, const Words& lines);

// What the status says of listeners, in a certain order.
Words all_listeners(const Instance& app);

// Whether it is a TCP listener of the application at a port that the kernel chose.
bool is_chosen(const Json& listener, const std::vector<const Port*>& others);

// Asks at a UDP port. Datagrams may be lost, so a few times.
std::string datagram_answer(const Port& port);

// A client that sends one datagram after the other, and waits for the answer to each.
class Datagrams {
 public:
  explicit Datagrams(const Port& port);
  ~Datagrams();

  unsigned answers() const { return answers_; }
  // Ends the client. How many datagrams had no answer within 5 s.
  unsigned stop();

 private:
  void run(int fd);

  std::atomic<bool> is_stopping_ = false;
  std::atomic<unsigned> answers_ = 0, unanswered_ = 0;
  std::thread thread_;
};

// Ends the clients, and fails the test if a request failed or none was answered.
void check_nothing_lost(Sessions& sessions);

}  // namespace scenario
