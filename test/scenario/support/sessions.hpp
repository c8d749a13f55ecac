#pragma once

#include <atomic>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "support/connection.hpp"

namespace scenario {

// Clients like browsers and proxies: each opens a connection, sends some requests on it, a few milliseconds
// apart and every tenth in two halves, closes the connection and opens the next. They repeat no request, and
// stop with the object.
class Sessions {
 public:
  struct Manner {
    unsigned clients = 4;
    // Requests on one connection; 0: it is never closed.
    unsigned requests = 10;
    milliseconds pause{5};
    // What the body of a version contains.
    std::string v1 = "1", v2 = "2";
  };

  Sessions(std::vector<std::string> addresses, Manner manner);
  explicit Sessions(const std::string& address) : Sessions({address}, Manner()) {}
  ~Sessions();

  unsigned long answers() const { return answers_; }
  // Waits until every client has got an answer.
  bool all_began(milliseconds limit = patience) const;
  // Ends the clients. Returns the errors with their counts.
  std::map<std::string, unsigned> stop();
  unsigned long answers_of(const std::string& version);

 private:
  void run(const std::string& address);
  bool ask(Connection& connection, unsigned long number);
  void note(const std::string& failure);

  std::atomic<bool> stopping_ = false;
  std::atomic<unsigned long> answers_ = 0;
  std::atomic<unsigned> began_ = 0;
  const Manner manner_;
  std::mutex lock_;
  std::map<std::string, unsigned> failures_;
  std::map<std::string, unsigned long> versions_;
  std::vector<std::thread> threads_;
};

}  // namespace scenario
