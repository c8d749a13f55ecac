#include "report.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>

namespace scenario::micro {
namespace {

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

const char* variable(const char* name) {
  const char* value = std::getenv(name);
  return value ? value : "";
}

}  // namespace

double ms_since(Clock::time_point begin) {
  return std::chrono::duration<double, std::milli>(Clock::now() - begin).count();
}

bool is_quick() { return *variable("LIVESWAP_BENCH_QUICK") != '\0'; }

Comparison::~Comparison() {
  if (ms_.empty() || bare_ms_.empty()) return;
  const double ms = median(ms_), bare_ms = median(bare_ms_);
  std::printf("%s, %u: %.2f ms; %s: %.2f ms; ratio %.2f (medians of %zu and %zu)\n", what_.c_str(), n_, ms,
              bare_.c_str(), bare_ms, ms / bare_ms, ms_.size(), bare_ms_.size());
  std::fflush(stdout);
  const char* path = variable("LIVESWAP_BENCH_RECORDS");
  if (*path == '\0') return;
  const nlohmann::ordered_json record = {
      {"what", what_}, {"n", n_}, {"ms", ms}, {"bare_ms", bare_ms}, {"bare", bare_}};
  std::ofstream(path, std::ios::app) << record.dump() << "\n";
}

}  // namespace scenario::micro
