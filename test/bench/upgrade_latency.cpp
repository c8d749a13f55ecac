// Measures what clients notice of upgrades: the latency (from each request's intended time) without upgrades,
// and with an upgrade that begins every second. The runs alternate, since a machine's speed drifts. Run by
// test/bench/run.
#include <doctest/doctest.h>

#include <algorithm>
#include <cstdio>

#include "support/load.hpp"

namespace scenario {
namespace {

constexpr int runs = 5;
constexpr int upgrades = 6;

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

void measure(Scenario& scenario, const std::string& mode, const std::string& title,
             const Words& load_options) {
  std::vector<double> steady, during, ratio;
  std::uint64_t attempts = 0, failures = 0;
  for (int run = 0; run < runs; ++run) {
    Instance app(scenario, fixture("version_v1"), {"--listen-mode", mode});
    Load load(scenario, app.address(), load_options);
    load.mark("steady");
    let_pass(milliseconds(upgrades * 1000));
    load.mark("during");
    for (int i = 0; i < upgrades; ++i) {
      const auto next = std::chrono::steady_clock::now() + milliseconds(1000);
      REQUIRE(app.upgrade(fixture(i % 2 ? "version_v1" : "version_v2")).status == Exit::ok);
      let_pass(std::chrono::duration_cast<milliseconds>(next - std::chrono::steady_clock::now()));
    }
    const auto report = load.stop();
    steady.push_back(report.p99_ms("steady"));
    during.push_back(report.p99_ms("during"));
    ratio.push_back(during.back() / steady.back());
    attempts += report.attempts();
    failures += report.failures();
  }
  std::printf(
      "%s, %s: p99 %.2f ms steady, %.2f ms during upgrades, ratio %.2f (medians of %d runs, ratios %.2f to "
      "%.2f); "
      "%llu attempts, %llu failed\n",
      mode.c_str(), title.c_str(), median(steady), median(during), median(ratio), runs,
      *std::min_element(ratio.begin(), ratio.end()), *std::max_element(ratio.begin(), ratio.end()),
      static_cast<unsigned long long>(attempts), static_cast<unsigned long long>(failures));
  CHECK(failures == 0);
}

TEST_CASE_FIXTURE(Scenario, "latency") {
  for (const char* mode : {"reuseport", "shared"}) {
    measure(*this, mode, "a connection for each request, 500/s", {"--rate", "500"});
    measure(*this, mode, "keep-alive, 50 connections, 500/s",
            {"--rate", "500", "--keep-alive", "--connections", "50"});
  }
}

}  // namespace
}  // namespace scenario
