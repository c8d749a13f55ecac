#pragma once

#include <algorithm>
#include <string>

#include "support/file.hpp"
#include "support/scenario.hpp"

namespace scenario::micro {

// A copy of a library of test/bench/peer with another version, and that many bytes more.
inline std::string version(const Scenario& scenario, const std::string& library, int number,
                           std::size_t more = 0) {
  std::string bytes = read_file(std::string(BENCH_PEER "/lib") + library + ".so");
  const std::string former = "version-01";
  const std::string now = "version-" + std::to_string(10 + number);
  for (std::size_t at = 0; (at = bytes.find(former, at)) != std::string::npos;)
    bytes.replace(at, now.size(), now);
  bytes.resize(bytes.size() + more, static_cast<char>('a' + number));
  const std::string path = scenario.dir / (library + std::to_string(number) + ".so");
  write_file(path, bytes);
  return path;
}

}  // namespace scenario::micro
