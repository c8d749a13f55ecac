// The time of a spawn without and with a cgroup of its own, alternately, in pairs. The program of the child
// is this one, which then exits at once.
#include <fmt/format.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <vector>

#include "master/workers/cgroups.hpp"
#include "spawn/spawner.hpp"

namespace {

using Microseconds = std::chrono::duration<double, std::micro>;

struct Times {
  std::vector<double> spawn, whole;  // until the exec; with making and removing the cgroup
};

void measure(liveswap::master::Cgroups& cgroups, bool with, Times& times) {
  using Clock = std::chrono::steady_clock;
  liveswap::spawn::Request request;
  request.program = "/proc/self/exe";
  request.arguments = {"spawn-time", "exit"};
  const auto begin = Clock::now();
  if (with) request.cgroup = cgroups.make();
  const auto made = Clock::now();
  const auto child = liveswap::spawn::spawn(request);
  const auto spawned = Clock::now();
  if (child) ::waitpid(child->pid, nullptr, 0);
  const auto ended = Clock::now();
  if (with) cgroups.remove(request.cgroup);
  times.spawn.push_back(Microseconds(spawned - made).count());
  times.whole.push_back(Microseconds((spawned - begin) + (Clock::now() - ended)).count());
}

void print(const char* name, std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const auto at = [&](double part) { return values[static_cast<std::size_t>(part * (values.size() - 1))]; };
  fmt::print("{:32} min {:6.0f}  median {:6.0f}  p90 {:6.0f}  max {:6.0f} µs\n", name, at(0), at(0.5),
             at(0.9), at(1));
}

std::vector<double> differences(const std::vector<double>& with, const std::vector<double>& without) {
  std::vector<double> found;
  for (std::size_t i = 0; i < with.size(); ++i) found.push_back(with[i] - without[i]);
  return found;
}

}  // namespace

int main(int argc, char**) {
  if (argc > 1) return 0;
  auto cgroups = liveswap::master::Cgroups::of_this_process();
  if (cgroups.directory().empty()) {
    fmt::print("this process may make no cgroups\n");
    return 1;
  }
  Times with, without;
  constexpr int pairs = 1000;
  for (int i = 0; i < pairs; ++i) {
    measure(cgroups, i % 2 == 0, i % 2 == 0 ? with : without);
    measure(cgroups, i % 2 != 0, i % 2 != 0 ? with : without);
  }
  print("spawn, without a cgroup", without.spawn);
  print("spawn, into a cgroup", with.spawn);
  print("with making and removing it", with.whole);
  print("difference of a pair, whole", differences(with.whole, without.whole));
}
