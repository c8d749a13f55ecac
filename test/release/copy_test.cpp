#include "release/copy.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>

#include "base/unique_fd.hpp"
#include "release/disk.hpp"
#include "support.hpp"

using namespace liveswap;
using namespace liveswap::release;

namespace {

struct Files {
  Files(const TempDir& dir, const std::string& content) : to_path(dir / "to") {
    put(dir / "from", content);
    from = UniqueFd::adopt(::open((dir / "from").c_str(), O_RDONLY | O_CLOEXEC));
    to = UniqueFd::adopt(::open(to_path.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  }
  std::string to_path;
  UniqueFd from;
  UniqueFd to;
};

}  // namespace

TEST_CASE("every way of copying gives the same bytes") {
  const TempDir dir;
  for (const std::size_t size : {0, 1, 4096, 3'000'001}) {
    const std::string content = noise(size, 1);
    for (const auto first : {CopyWay::reflink, CopyWay::range, CopyWay::bytes}) {
      CAPTURE(size);
      CAPTURE(word(first));
      const Files files(dir, content);
      const auto way = copy_bytes(files.from.get(), files.to.get(), size, files.to_path, first);
      REQUIRE(way.has_value());
      CHECK(*way >= first);
      CHECK(get(files.to_path) == content);
    }
  }
}

TEST_CASE("a reflink is used where the file system can") {
  const TempDir dir;
  const Files probe(dir, "x");
  const bool can = ::ioctl(probe.to.get(), FICLONE, probe.from.get()) == 0;
  const Files files(dir, "content");
  CHECK((copy_bytes(files.from.get(), files.to.get(), 7, "to").value() == CopyWay::reflink) == can);
  if (!can) MESSAGE("left out: the file system of the temporary directory knows no reflinks");
}

TEST_CASE("copy_file_range is used where the file system can, and done without where it cannot") {
  const TempDir dir;
  const Files files(dir, "content");
  CHECK(copy_bytes(files.from.get(), files.to.get(), 7, "to", CopyWay::range).value() == CopyWay::range);

  // Files in procfs have size 0, and copy_file_range() refuses them or copies nothing.
  const auto proc = UniqueFd::adopt(::open("/proc/self/maps", O_RDONLY | O_CLOEXEC));
  const Files other(dir, "");
  const auto way = copy_bytes(proc.get(), other.to.get(), 100, "to", CopyWay::range);
  REQUIRE(way.has_value());
  CHECK(*way == CopyWay::bytes);
  CHECK(get(other.to_path).size() == 100);
}

TEST_CASE("a file that has become shorter ends the copy instead of going on for ever") {
  const TempDir dir;
  for (const auto first : {CopyWay::range, CopyWay::bytes}) {
    const Files files(dir, "short");
    REQUIRE(copy_bytes(files.from.get(), files.to.get(), 1'000'000, "to", first).has_value());
    CHECK(get(files.to_path) == "short");
  }
}

TEST_CASE("a copy that cannot be written says so") {
  const TempDir dir;
  const Files files(dir, "content");
  const auto full = UniqueFd::adopt(::open("/dev/full", O_WRONLY | O_CLOEXEC));
  const auto way = copy_bytes(files.from.get(), full.get(), 7, "the copy", CopyWay::bytes);
  REQUIRE_FALSE(way.has_value());
  CHECK(contains(way.error().text, "cannot write the copy: No space left on device: make room"));
}
