// Measures HTTP servers beside each other, for test/bench/data-path. The servers take turns of some
// milliseconds, in a changing order, so that other load on the machine affects all alike. Prints a line for
// each server: requests per second, and microseconds of CPU of the server's process per request.
//
//   beside keep-alive|new-connections CONNECTIONS SECONDS PORT=PID …
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <string>
#include <string_view>
#include <vector>

namespace {

constexpr int events_at_once = 64;
constexpr double slice_s = 0.02;
// A worker's control thread exits after half a second of quiet (src/worker/control/control_thread.h).
constexpr double warm_up_s = 0.8;
constexpr int silence_ms = 5000;

[[noreturn]] void fail(const char* what) {
  std::perror(what);
  std::exit(2);
}

double seconds(clockid_t clock) {
  timespec time{};
  clock_gettime(clock, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

double now() { return seconds(CLOCK_MONOTONIC); }

int connect_to(int port) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (fd < 0 || connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    fail("connect");
  const int one = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  return fd;
}

// The length of the answer at the beginning of `text`; 0 while the head is incomplete.
size_t length_of(std::string_view text) {
  const auto end = text.find("\r\n\r\n");
  if (end == std::string_view::npos) return 0;
  const std::string head(text.substr(0, end));
  const char* const found = strcasestr(head.c_str(), "content-length:");
  return end + 4 + (found != nullptr ? std::strtoul(found + std::strlen("content-length:"), nullptr, 10) : 0);
}

struct Client {
  int fd = -1;
  std::string answer;
};

class Server {
 public:
  Server(int port, pid_t pid, bool keeps, size_t connections)
      : port_(port), keeps_(keeps), clients_(connections) {
    if (clock_getcpuclockid(pid, &clock_) != 0 || epoll_ < 0) fail("beside");
    request_ = std::string("GET / HTTP/1.1\r\nHost: localhost\r\n") + (keeps ? "" : "Connection: close\r\n") +
               "\r\n";
  }

  // Opens all connections before the first request, without a time limit: a server with a short accept queue
  // drops some SYNs, and the client's kernel repeats them after a second.
  void open_all() {
    for (size_t i = 0; keeps_ && i < clients_.size(); ++i) open(i);
  }

  void serve_for(double length, bool counts) {
    const double began = now();
    const double cpu = seconds(clock_);
    const long answers = answers_;
    end_ = began + length;
    for (size_t i = 0; i < clients_.size(); ++i) ask(i);
    while (busy_ > 0) take_events();
    if (!counts) return;
    counted_ += answers_ - answers;
    wall_ += now() - began;
    cpu_ += seconds(clock_) - cpu;
  }

  void print() const {
    if (counted_ == 0) fail("nothing answered in time");
    std::printf("%.1f %.4f\n", static_cast<double>(counted_) / wall_,
                cpu_ / static_cast<double>(counted_) * 1e6);
  }

 private:
  void open(size_t place) {
    Client& client = clients_[place];
    if (client.fd >= 0) return;
    client.fd = connect_to(port_);
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.u64 = place;
    epoll_ctl(epoll_, EPOLL_CTL_ADD, client.fd, &event);
  }

  void ask(size_t place) {
    Client& client = clients_[place];
    open(place);
    client.answer.clear();
    if (send(client.fd, request_.data(), request_.size(), MSG_NOSIGNAL) !=
        static_cast<ssize_t>(request_.size()))
      fail("send");
    ++busy_;
  }

  void take_events() {
    epoll_event events[events_at_once];
    const int count = epoll_wait(epoll_, events, events_at_once, silence_ms);
    if (count <= 0) fail("no answer");
    for (int i = 0; i < count; ++i) take(events[i].data.u64);
  }

  // A kept connection's answer ends after Content-Length bytes, a new connection's at the end of file.
  void take(size_t place) {
    Client& client = clients_[place];
    char buffer[16 * 1024];
    const ssize_t size = recv(client.fd, buffer, sizeof buffer, 0);
    if (size < 0) fail("recv");
    client.answer.append(buffer, static_cast<size_t>(size));
    const size_t length = length_of(client.answer);
    const bool complete = length > 0 && client.answer.size() >= length;
    if (size == 0 && !complete) fail("an answer ends early");
    if (!complete || (size > 0 && !keeps_)) return;
    if (client.answer.compare(0, 7, "HTTP/1.") != 0 || client.answer.compare(8, 5, " 200 ") != 0)
      fail("not answered with 200");
    // Some servers close a connection after a number of requests.
    if (!keeps_ || strcasestr(client.answer.c_str(), "connection: close") != nullptr) {
      close(client.fd);
      client.fd = -1;
    }
    ++answers_;
    --busy_;
    if (now() < end_) ask(place);
  }

  int port_;
  bool keeps_;
  std::vector<Client> clients_;
  std::string request_;
  clockid_t clock_{};
  int epoll_ = epoll_create1(EPOLL_CLOEXEC);
  double end_ = 0;
  int busy_ = 0;
  long answers_ = 0;
  long counted_ = 0;
  double wall_ = 0;
  double cpu_ = 0;
};

}  // namespace

int main(int argc, char** argv) {
  if (argc < 5) {
    std::fputs("usage: beside keep-alive|new-connections CONNECTIONS SECONDS PORT=PID …\n", stderr);
    return 2;
  }
  const bool keeps = std::string_view(argv[1]) == "keep-alive";
  std::vector<Server> servers;
  for (int i = 4; i < argc; ++i) {
    const char* const pid = std::strchr(argv[i], '=');
    if (pid == nullptr) fail(argv[i]);
    servers.emplace_back(std::atoi(argv[i]), std::atoi(pid + 1), keeps, std::strtoul(argv[2], nullptr, 10));
  }
  std::vector<Server*> order;
  for (auto& server : servers) {
    server.open_all();
    order.push_back(&server);
  }
  std::mt19937 random{std::random_device{}()};
  const double began = now();
  const double end = began + warm_up_s + std::atof(argv[3]);
  while (now() < end) {
    const bool counts = now() >= began + warm_up_s;
    std::shuffle(order.begin(), order.end(), random);
    for (Server* server : order) server->serve_for(slice_s, counts);
  }
  for (const auto& server : servers) server.print();
}
