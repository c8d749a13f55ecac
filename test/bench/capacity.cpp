// Keeps a server busy, and prints at the end how many requests it answered in each step of time, as a JSON
// object. A failed request is repeated. For test/bench/peers: what of a server's throughput an upgrade takes.
//
//   capacity keep-alive|new-connections CONNECTIONS PORT STEP_MS
//
// Lines on the standard input: `mark` marks the time, and is answered by "marked" (`marks` has the number of
// steps before each); `stop`, like the end of file, ends the run.
#include <poll.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <string_view>
#include <vector>

#include "closed_loop.hpp"

namespace {

enum class Input { none, mark, stop };

Input look_at_input() {
  pollfd wait{STDIN_FILENO, POLLIN, 0};
  char bytes[256];
  if (poll(&wait, 1, 0) != 1) return Input::none;
  const ssize_t size = read(STDIN_FILENO, bytes, sizeof bytes);
  return size > 0 && bytes[0] == 'm' ? Input::mark : Input::stop;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 5) {
    std::fputs("usage: capacity keep-alive|new-connections CONNECTIONS PORT STEP_MS\n", stderr);
    return 2;
  }
  bench::ClosedLoop client(std::atoi(argv[3]), std::string_view(argv[1]) == "keep-alive",
                           std::strtoul(argv[2], nullptr, 10), bench::ClosedLoop::On::failure_go_on);
  const double step_s = std::atof(argv[4]) / 1e3;
  std::vector<long> answers, failures;
  std::vector<double> marks;
  const double began = bench::now();
  for (Input input; (input = look_at_input()) != Input::stop;) {
    if (input == Input::mark) {
      marks.push_back((bench::now() - began) / step_s);
      std::puts("marked");
      std::fflush(stdout);
    }
    client.counts = {};
    client.go_on_until(began + static_cast<double>(answers.size() + 1) * step_s);
    answers.push_back(client.counts.answers);
    failures.push_back(client.counts.failures);
  }
  const nlohmann::json result = {
      {"step_ms", step_s * 1e3}, {"answers", answers}, {"failures", failures}, {"marks", marks}};
  std::puts(result.dump().c_str());
}
