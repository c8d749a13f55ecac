#include <doctest/doctest.h>

#include <cstdlib>
#include <iostream>
#include <sstream>
#include <string>

#include "rules.hpp"
#include "schedule.hpp"

using namespace liveswap::rollout;

namespace {

std::uint64_t from_environment(const char* name, std::uint64_t otherwise) {
  const char* value = std::getenv(name);
  return value ? std::strtoull(value, nullptr, 10) : otherwise;
}

// Returns the end of the trace of a failing seed, up to the broken rule.
std::string tell_story(std::uint64_t seed) {
  std::ostringstream story;
  try {
    play(seed, &story);
    story << "(the rule held this time)\n";
  } catch (const Violation& violation) {
    story << "broken: " << violation.what() << '\n';
  }
  return story.str();
}

}  // namespace

// LIVESWAP_SCHEDULES is the number of seeds; LIVESWAP_SEED plays one seed and prints its trace.
TEST_CASE("schedules: whatever happens, and whenever, the rules hold") {
  if (const std::uint64_t seed = from_environment("LIVESWAP_SEED", 0)) {
    const std::string story = tell_story(seed);
    std::cout << story;
    CHECK(story.find("broken: ") == std::string::npos);
    return;
  }
  const std::uint64_t count = from_environment("LIVESWAP_SCHEDULES", 100'000);
  for (std::uint64_t seed = 1; seed <= count; ++seed) {
    try {
      play(seed);
    } catch (const Violation& violation) {
      FAIL("LIVESWAP_SEED=" << seed << ": " << tell_story(seed) << std::string(violation.what()));
    }
  }
}
