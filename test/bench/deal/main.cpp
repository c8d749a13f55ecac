// How new connections are dealt to workers: evenly, and past a worker that is slow or stuck? By the kernel's
// hash, by one shared socket, and by two eBPF programs (root only). liveswap itself takes no part, so the
// programs can be compared with each other alone. docs/measurements.md has the results.
//
//   deal          prints tables in Markdown; 4 minutes
#include <fmt/format.h>

#include <algorithm>
#include <exception>
#include <numeric>

#include "clients.hpp"
#include "workers.hpp"

namespace {

using namespace deal;

constexpr struct {
  Way way;
  const char* name;
} ways[] = {
    {Way::by_hash, "hash"}, {Way::shared, "shared"}, {Way::in_turn, "in turn"}, {Way::fewest, "fewest"}};

constexpr unsigned rounds = 15, sick_rounds = 3, sick_workers = 4, rate = 600;
constexpr std::chrono::milliseconds duration{4'000};

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

// The connections of the worker with the most, divided by an even share.
double skew(Way way, unsigned workers, unsigned connections) {
  std::vector<double> found;
  for (unsigned round = 0; round < rounds; ++round) {
    const Group group(way, workers);
    const Workers processes(group, workers, Sick::not_at_all);
    const auto counts = kept_by_worker(group.port(), connections, workers);
    found.push_back(*std::max_element(counts.begin(), counts.end()) * double(workers) / connections);
  }
  return median(found);
}

void print_skew() {
  fmt::print("| workers | kept connections |");
  for (const auto& one : ways) fmt::print(" {} |", one.name);
  fmt::print("\n|---|---|---|---|---|---|\n");
  for (const unsigned workers : {2u, 4u, 16u})
    for (const unsigned connections : {8u, 32u, 128u}) {
      fmt::print("| {} | {} |", workers, connections);
      for (const auto& one : ways) fmt::print(" {:.2f} |", skew(one.way, workers, connections));
      fmt::print("\n");
    }
}

void print_sick(Sick sick, const char* name) {
  for (const auto& one : ways) {
    std::vector<double> p50, p99, longest;
    unsigned failed = 0, all = 0;
    for (unsigned round = 0; round < sick_rounds; ++round) {
      const Group group(one.way, sick_workers);
      const Workers processes(group, sick_workers, sick);
      const auto found = ask_on_new_connections(group.port(), rate, duration);
      const auto at = [&](double part) {
        return found.ms.at(static_cast<std::size_t>(part * (found.ms.size() - 1)));
      };
      p50.push_back(at(0.5)), p99.push_back(at(0.99)), longest.push_back(at(1));
      failed += found.failed, all += static_cast<unsigned>(found.ms.size()) + found.failed;
    }
    fmt::print("| {} | {} | {:.1f} | {:.1f} | {:.1f} | {} of {} |\n", name, one.name, median(p50),
               median(p99), median(longest), failed, all);
  }
}

}  // namespace

int main() try {
  print_skew();
  fmt::print(
      "\n| worker 0 of 4 | dealt | p50 ms | p99 ms | longest ms | failed |\n|---|---|---|---|---|---|\n");
  print_sick(Sick::not_at_all, "well");
  print_sick(Sick::slow, "ten times slower");
  print_sick(Sick::stuck, "stuck for 1 s");
} catch (const std::exception& error) {
  fmt::print(stderr, "deal: {}\n", error.what());
  return 1;
}
