// A closed-loop client of an HTTP server at 127.0.0.1: each connection sends its next request when the last
// one is answered. One thread; nothing blocks but the connects of open_all() and, unless tolerant, of new
// connections.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace bench {

// Seconds of the monotonic clock.
double now();

struct Counts {
  long answers = 0;
  long failures = 0;
  std::vector<float> latencies_us;  // of answers, from the request's first byte sent
};

class ClosedLoop {
 public:
  enum class On { failure_throw, failure_go_on };

  // With `keeps` a connection serves many requests, without it one.
  ClosedLoop(int port, bool keeps, std::size_t connections, On on = On::failure_throw);
  ClosedLoop(ClosedLoop&&) = default;

  // Opens all kept connections before the first request, without a time limit: a server with a short accept
  // queue drops some SYNs, and the client's kernel repeats them after a second.
  void open_all();

  // Sends requests for that many seconds, then waits for the last answers. Throws std::runtime_error when a
  // request fails.
  void serve_for(double seconds);

  // For On::failure_go_on: sends requests until `end`; failed requests are repeated a millisecond later.
  // Leaves requests without an answer.
  void go_on_until(double end);

  Counts counts;

 private:
  struct Client {
    int fd = -1;
    bool asked = false;       // a request waits for its answer
    bool connecting = false;  // its request is not sent yet
    double since = 0;         // when the request was sent
    std::string answer;
  };

  void open(std::size_t place);
  void ask(std::size_t place);
  void send_request(std::size_t place);
  void take_events(int timeout_ms);
  void take(std::size_t place);
  void complete(std::size_t place);
  void failed(std::size_t place, const char* what);
  void close_it(Client& client);

  int port_;
  bool keeps_;
  On on_;
  std::vector<Client> clients_;
  std::string request_;
  int epoll_;
  double end_ = 0;
  int busy_ = 0;
};

}  // namespace bench
