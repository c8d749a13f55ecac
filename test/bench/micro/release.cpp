// How long the master takes for a large release: it is copied into the store, hashed, synced, loaded on
// trial.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <unistd.h>

#include "release/sha256.hpp"
#include "report.hpp"
#include "support/instance.hpp"
#include "versions.hpp"

namespace scenario::micro {
namespace {

constexpr std::size_t mebibyte = 1 << 20;

// The least that has to be done: read the file, write it, hash it, sync the copy.
double bare_copy_ms(const std::string& path, const std::string& copy) {
  const double taken = ms_of([&] {
    const auto from = liveswap::UniqueFd::adopt(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    const auto to =
        liveswap::UniqueFd::adopt(::open(copy.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    REQUIRE(liveswap::release::sha256_of_file(from.get(), path));
    std::string bytes(mebibyte, '\0');
    for (ssize_t size; (size = ::read(from.get(), bytes.data(), bytes.size())) > 0;)
      REQUIRE(::write(to.get(), bytes.data(), static_cast<std::size_t>(size)) == size);
    REQUIRE(::fsync(to.get()) == 0);
  });
  ::unlink(copy.c_str());
  return taken;
}

TEST_CASE_FIXTURE(Scenario, "a large release") {
  const unsigned size = is_quick() ? 10 : 100;
  Instance app(*this, version(*this, "bench_contract", 0));
  Comparison taking("upgrade of 2 workers to a release of N MiB", size, "hash, copy and sync");
  for (int i = 1; i <= (is_quick() ? 2 : 5); ++i) {
    const std::string path = version(*this, "bench_contract", i, size * mebibyte);
    taking.add_bare(bare_copy_ms(path, dir / "copy"));
    taking.add(ms_of([&] { REQUIRE(app.upgrade(path).status == Exit::ok); }));
    ::unlink(path.c_str());
  }
}

}  // namespace
}  // namespace scenario::micro
