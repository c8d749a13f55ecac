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

// The end of a failing seed's story is where the rule was broken.
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

// LIVESWAP_SCHEDULES says how many; LIVESWAP_SEED plays that one alone, and tells what happens in it.
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
