#include "release/source.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <thread>

#include "support.hpp"

namespace fs = std::filesystem;
using namespace liveswap;
using namespace liveswap::release;

namespace {

Result<Source> open_at(const std::string& path, Trust trust = {}) {
  return Source::open(AT_FDCWD, path, path, trust);
}

std::string refusal(const std::string& path, Trust trust = {}) {
  const auto source = open_at(path, trust);
  return source ? "taken" : source.error().text;
}

}  // namespace

TEST_CASE("only regular files are taken, and nothing is waited for") {
  const TempDir dir;
  REQUIRE(::mkfifo((dir / "fifo").c_str(), 0600) == 0);
  CHECK(refusal(dir / "fifo") == (dir / "fifo") + " is a FIFO, expected a regular file");
  CHECK(contains(refusal(dir.path()), "is a directory, expected a regular file"));
  CHECK(contains(refusal("/dev/zero"), "is a device, expected a regular file"));
  CHECK(refusal(dir / "none") == "cannot open " + (dir / "none") + ": No such file or directory");
}

TEST_CASE("more than 4 GiB are refused before a byte is copied") {
  const TempDir dir;
  put(dir / "f", "");
  REQUIRE(::truncate((dir / "f").c_str(), (off_t{4} << 30) + 1) == 0);
  CHECK(contains(refusal(dir / "f"), "has 4294967297 bytes, expected at most 4294967296"));
}

TEST_CASE("root takes only what nobody else can write to") {
  const TempDir dir;
  put(dir / "f", "x");
  REQUIRE(::chmod((dir / "f").c_str(), 0775) == 0);
  if (::geteuid() == 0) {
    CHECK(contains(refusal(dir / "f", {true}), "has mode 0775, expected that only root may write to it"));
    CHECK(contains(refusal(dir / "f", {true}), "`chmod go-w " + (dir / "f") + "`"));
    REQUIRE(::chmod((dir / "f").c_str(), 0755) == 0);
    CHECK(refusal(dir / "f", {true}) == "taken");
    REQUIRE(::chown((dir / "f").c_str(), 65534, 65534) == 0);
    CHECK(contains(refusal(dir / "f", {true}), "belongs to user 65534, expected root"));
  } else {
    CHECK(contains(refusal(dir / "f", {true}), "expected root, since the master runs as root"));
  }
  CHECK(refusal(dir / "f", {false}) == "taken");
}

TEST_CASE("a file that somebody has open for writing is not taken") {
  const TempDir dir;
  put(dir / "f", "x");
  const auto writer = UniqueFd::adopt(::open((dir / "f").c_str(), O_WRONLY | O_CLOEXEC));
  CHECK(contains(refusal(dir / "f"), "is still open for writing: is a build or a copy still running?"));
}

TEST_CASE("a writer that goes away soon is waited for") {
  const TempDir dir;
  put(dir / "f", "x");
  auto writer = UniqueFd::adopt(::open((dir / "f").c_str(), O_WRONLY | O_CLOEXEC));
  std::thread later([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    CHECK(::write(writer.get(), "yz", 2) == 2);
    writer.reset();
  });
  const auto source = open_at(dir / "f");
  later.join();
  REQUIRE(source.has_value());
  CHECK(source->size() == 2);
}

TEST_CASE("a change after the file was opened is found") {
  const TempDir dir;
  put(dir / "f", "content");
  auto source = open_at(dir / "f");
  REQUIRE(source.has_value());
  CHECK(source->unchanged().has_value());

  SUBCASE("same length") { put(dir / "f", "CONTENT"); }
  SUBCASE("longer") { put(dir / "f", "content and more"); }
  SUBCASE("cut") { REQUIRE(::truncate((dir / "f").c_str(), 1) == 0); }
  REQUIRE_FALSE(source->unchanged().has_value());
  CHECK(contains(source->unchanged().error().text, "was changed while it was read"));
}

TEST_CASE("a file that is replaced by another stays what it was") {
  const TempDir dir;
  put(dir / "f", "content");
  auto source = open_at(dir / "f");
  put(dir / "g", "other");
  fs::rename(dir / "g", dir / "f");
  CHECK(source->unchanged().has_value());
}
