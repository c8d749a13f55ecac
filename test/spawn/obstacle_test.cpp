#include "spawn/obstacle.hpp"

#include <doctest/doctest.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "test/support/temp_dir.hpp"

using namespace liveswap;
using liveswap::test::TempDir;

namespace {

namespace fs = std::filesystem;

const spawn::Identity nobody{65534, 65534, {65534}};

bool contains(const std::optional<std::string>& text, const std::string& part) {
  return text && text->find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("an obstacle: the directory that the workers' user cannot pass, and no other") {
  if (::geteuid() != 0) return;
  const TempDir dir;
  ::chmod((dir / "").c_str(), 0711);
  const std::string closed = dir / "home";
  fs::create_directories(closed + "/state/releases");
  CHECK_FALSE(spawn::obstacle(closed + "/state/releases", nobody, "--state-dir").has_value());
  ::chmod(closed.c_str(), 0700);
  const auto found = spawn::obstacle(closed + "/state/releases", nobody, "--state-dir");
  CHECK(contains(found, "the workers' user nobody cannot pass through " + closed + " to"));
  CHECK(contains(found, "Permission denied: it belongs to root and has mode 0700"));
  CHECK(contains(found, "chmod o+x " + closed));
  CHECK(contains(found, "--state-dir"));
  CHECK_FALSE(spawn::obstacle(closed + "/state/releases", std::nullopt, "--state-dir").has_value());
  // Behind a link, the obstacle is the directory to which the link leads.
  fs::create_directory_symlink(closed, dir / "link");
  CHECK(
      contains(spawn::obstacle(dir / "link/state", nobody, "--state-dir"), "pass through " + closed + " to"));
  // Group permissions count.
  REQUIRE(::chown(closed.c_str(), 0, 4242) == 0);
  ::chmod(closed.c_str(), 0710);
  CHECK_FALSE(spawn::obstacle(closed + "/state", spawn::Identity{65534, 65534, {65534, 4242}}, "--state-dir")
                  .has_value());
  CHECK(spawn::obstacle(closed + "/state", nobody, "--state-dir").has_value());
  CHECK_FALSE(spawn::obstacle(dir / "not there", nobody, "--state-dir").has_value());
}

TEST_CASE("an obstacle: a file system that is mounted noexec") {
  const TempDir dir;
  const std::string point = dir / "a b";
  fs::create_directory(point);
  CHECK_FALSE(spawn::obstacle(point, std::nullopt, "--state-dir").has_value());
  if (::mount("liveswap-test", point.c_str(), "tmpfs", MS_NOEXEC, "size=64k") != 0) {
    MESSAGE("mounting needs root: left out");
    return;
  }
  fs::create_directory(point + "/releases");
  const auto found = spawn::obstacle(point + "/releases", std::nullopt, "--state-dir");
  ::umount2(point.c_str(), MNT_DETACH);
  CHECK(contains(found, point + "/releases lies on the file system that is mounted at " + point +
                            " with the option noexec"));
  CHECK(contains(found, "--state-dir"));
}
