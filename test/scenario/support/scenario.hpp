#pragma once

#include <string>

#include "test/support/temp_dir.hpp"

namespace scenario {

using liveswap::test::TempDir;

// What every scenario has: a directory of its own, and the certainty that nothing which it started outlives
// it. For TEST_CASE_FIXTURE. A process that is still there at the end fails the test and is killed.
class Scenario {
 public:
  Scenario();
  ~Scenario();

  TempDir dir;
};

// Shown when the test that runs fails: the log of a master, say.
void show_on_failure(const std::string& title, const std::string& text);

}  // namespace scenario
