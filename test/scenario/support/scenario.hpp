#pragma once

#include <string>

#include "test/support/temp_dir.hpp"

namespace scenario {

using liveswap::test::TempDir;

// The base of every scenario, for TEST_CASE_FIXTURE: a directory of its own, and a check that no process
// outlives the test. A process that is left at the end fails the test and is killed.
class Scenario {
 public:
  Scenario();
  ~Scenario();

  TempDir dir;
};

// Registers a text, such as the log of a master, that is printed if the running test fails.
void show_on_failure(const std::string& title, const std::string& text);

}  // namespace scenario
