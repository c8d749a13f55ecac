#include "base/log.hpp"

#include <doctest/doctest.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <string>

using namespace liveswap;

namespace {

unsigned lines_with(const std::string& path, const std::string& part) {
  std::ifstream file(path);
  unsigned count = 0;
  for (std::string line; std::getline(file, line);) count += line.find(part) != std::string::npos;
  return count;
}

}  // namespace

TEST_CASE(
    "log: of lines that others can bring about the first of each kind are written, all of the rest are") {
  std::string path = "/tmp/liveswap-log-XXXXXX";
  const int fd = mkstemp(path.data());
  REQUIRE(fd >= 0);
  close(fd);
  REQUIRE(log::open_file(path));
  for (int i = 0; i < 5'000; ++i) {
    log::seldom({"commands of strangers"}, log::Level::warning, "refused command {}", i);
    if (i % 500 == 0)
      log::seldom({"peers that were sent away", 3}, log::Level::warning, "refused peer {}", i);
    if (i < 50) log::info("own line {}", i);
  }
  CHECK(lines_with(path, "refused command ") == 10);
  CHECK(lines_with(path, "refused peer ") == 3);
  CHECK(lines_with(path, "own line ") == 50);
  CHECK(lines_with(path, "left out") == 0);  // the count is logged when the minute is over
  unlink(path.c_str());
}
