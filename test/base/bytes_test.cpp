#include "base/bytes.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <string>

#include "base/unique_fd.hpp"

using namespace liveswap;

TEST_CASE("bytes are read from a file and from memory alike, all that were asked for or none") {
  const std::string text = "0123456789";
  const auto file = UniqueFd::adopt(::memfd_create("bytes", MFD_CLOEXEC));
  REQUIRE(::write(file.get(), text.data(), text.size()) == 10);
  for (const Bytes& bytes : {Bytes(file.get()), Bytes(text)}) {
    CHECK(bytes.size() == 10);
    std::string part(4, '-');
    CHECK(bytes.read(6, part.data(), 4));
    CHECK(part == "6789");
    CHECK_FALSE(bytes.read(7, part.data(), 4));
    CHECK(part == "6789");
    CHECK(bytes.read(10, part.data(), 0));
    CHECK_FALSE(bytes.read(11, part.data(), 0));
    CHECK_FALSE(bytes.has(UINT64_MAX, 1));
    CHECK_FALSE(bytes.has(1, UINT64_MAX));
  }
  CHECK(Bytes(std::string_view()).read(0, nullptr, 0));
  const auto device = UniqueFd::adopt(::open("/dev/zero", O_RDONLY | O_CLOEXEC));
  CHECK(Bytes(device.get()).size() == 0);
}
