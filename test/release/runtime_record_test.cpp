// The runtime of a script, recorded beside its release.
#include "release/runtime_record.hpp"

#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "test/support/temp_dir.hpp"

using namespace liveswap;
using release::RuntimeRecord;

TEST_CASE("runtime record: a file that has not changed is hashed once for all releases") {
  const test::TempDir dir;
  const auto runtime = dir.write("bin/node", "one");
  dir.directory("releases");
  const auto first = release::record_runtime(dir / "releases/a", {runtime, "v1", "", ""});
  REQUIRE(first);
  CHECK(first->sha256 == "7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed");
  // A record that says otherwise shows where the second hash comes from.
  const std::string path = dir / "releases/a.runtime";
  std::string text;
  std::getline(std::ifstream(path), text);
  text.replace(text.find(first->sha256), 4, "0000");
  std::ofstream(path) << text;
  const auto second = release::record_runtime(dir / "releases/b", {runtime, "v1", "", ""});
  REQUIRE(second);
  CHECK(second->sha256.substr(0, 4) == "0000");
  CHECK(release::runtime_difference(*second, "").empty());
  // Changed, also with the same size.
  std::ofstream(runtime) << "two";
  const auto third = release::record_runtime(dir / "releases/c", {runtime, "v2", "", ""});
  REQUIRE(third);
  CHECK(third->sha256 == "3fc4ccfe745870e2c0d99f71f30ff0656c8dedd41cc1d7d3d376b0dbe685e2f3");
  CHECK(release::runtime_difference(*first, "").find("is another file now") != std::string::npos);
  CHECK(release::recorded_runtime(dir / "releases/c")->version == "v2");
}
