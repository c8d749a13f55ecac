// Measures HTTP servers beside each other, for test/bench/data-path and test/bench/peers. The servers take
// turns of some milliseconds, in a changing order, so that other load on the machine affects all alike.
// Prints a line for each server: requests per second, and microseconds of CPU of the server's processes per
// request; with
// --json an object with latencies, or with `failed` for a server that stopped answering.
//
//   beside [--json] keep-alive|new-connections CONNECTIONS SECONDS PORT=PID[,PID…] …
#include <time.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "closed_loop.hpp"

namespace {

constexpr double slice_s = 0.02;
// A worker's control thread exits after half a second of quiet (src/worker/control/control_thread.h).
constexpr double warm_up_s = 0.8;

std::vector<pid_t> pids_of(const char* text) {
  std::vector<pid_t> pids;
  for (; text != nullptr; text = std::strchr(text + 1, ','))
    if (text[1] != '\0') pids.push_back(std::atoi(text + 1));
  return pids;
}

double at(const std::vector<float>& sorted, double part) {
  return static_cast<double>(sorted[static_cast<size_t>(part * static_cast<double>(sorted.size() - 1))]);
}

// A server, and the CPU time of its processes. A process that has ended counts no more.
class Server {
 public:
  Server(const char* text, bool keeps, size_t connections)
      : client_(std::atoi(text), keeps, connections), pids_(pids_of(std::strchr(text, '='))) {}

  bool has_failed() const { return !failure_.empty(); }
  const std::string& failure() const { return failure_; }

  template <class Act>
  void unless_failed(const Act& act) {
    if (has_failed()) return;
    try {
      act();
    } catch (const std::exception& error) {
      failure_ = error.what();
    }
  }

  void open_all() {
    unless_failed([this] { client_.open_all(); });
  }

  void serve_for(double length, bool counts) {
    unless_failed([&] {
      if (!counts) client_.counts = {};
      const double began = bench::now(), cpu = cpu_seconds();
      client_.serve_for(length);
      if (!counts) return;
      wall_ += bench::now() - began;
      cpu_ += cpu_seconds() - cpu;
    });
  }

  double answers() const { return static_cast<double>(client_.counts.answers); }
  double rate() const { return answers() / wall_; }
  double cpu_us() const { return cpu_ / answers() * 1e6; }

  nlohmann::ordered_json json() {
    if (has_failed()) return {{"failed", failure_}};
    auto& latencies = client_.counts.latencies_us;
    std::sort(latencies.begin(), latencies.end());
    return {{"rate", rate()},
            {"cpu_us", cpu_us()},
            {"answers", client_.counts.answers},
            {"p50_us", at(latencies, 0.5)},
            {"p99_us", at(latencies, 0.99)},
            {"p999_us", at(latencies, 0.999)}};
  }

 private:
  double cpu_seconds() const {
    double sum = 0;
    for (const pid_t pid : pids_) {
      clockid_t clock{};
      timespec time{};
      if (clock_getcpuclockid(pid, &clock) == 0 && clock_gettime(clock, &time) == 0)
        sum += static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
    }
    return sum;
  }

  bench::ClosedLoop client_;
  std::vector<pid_t> pids_;
  std::string failure_;
  double wall_ = 0;
  double cpu_ = 0;
};

void take_turns(std::vector<Server>& servers, double seconds) {
  std::vector<Server*> order;
  for (auto& server : servers) {
    server.open_all();
    order.push_back(&server);
  }
  std::mt19937 random{std::random_device{}()};
  const double began = bench::now();
  const double end = began + warm_up_s + seconds;
  while (bench::now() < end) {
    const bool counts = bench::now() >= began + warm_up_s;
    std::shuffle(order.begin(), order.end(), random);
    for (Server* server : order) server->serve_for(slice_s, counts);
  }
}

int print(std::vector<Server>& servers, bool as_json) {
  for (auto& server : servers) {
    server.unless_failed([&] {
      if (server.answers() == 0) throw std::runtime_error("nothing answered in time");
    });
    if (as_json) {
      std::puts(server.json().dump().c_str());
    } else if (server.has_failed()) {
      std::fprintf(stderr, "beside: %s\n", server.failure().c_str());
      return 2;
    } else {
      std::printf("%.1f %.4f\n", server.rate(), server.cpu_us());
    }
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const bool as_json = argc > 1 && std::string_view(argv[1]) == "--json";
  if (as_json) ++argv, --argc;
  if (argc < 5) {
    std::fputs("usage: beside [--json] keep-alive|new-connections CONNECTIONS SECONDS PORT=PID[,PID…] …\n",
               stderr);
    return 2;
  }
  const bool keeps = std::string_view(argv[1]) == "keep-alive";
  std::vector<Server> servers;
  servers.reserve(static_cast<size_t>(argc));
  for (int i = 4; i < argc; ++i) {
    if (std::strchr(argv[i], '=') == nullptr) {
      std::fprintf(stderr, "beside: %s: expected PORT=PID\n", argv[i]);
      return 2;
    }
    servers.emplace_back(argv[i], keeps, std::strtoul(argv[2], nullptr, 10));
  }
  take_turns(servers, std::atof(argv[3]));
  return print(servers, as_json);
}
