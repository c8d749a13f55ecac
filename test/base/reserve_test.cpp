#include "base/reserve.hpp"

#include <doctest/doctest.h>
#include <sys/resource.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <random>
#include <vector>

namespace liveswap {
namespace {

// While an object lives, malloc() fails in this process, except for small sizes that glibc still has free.
class NoMemory {
 public:
  NoMemory() {
    ::getrlimit(RLIMIT_AS, &before_);
    const rlimit none{1, before_.rlim_max};
    ::setrlimit(RLIMIT_AS, &none);
  }
  ~NoMemory() { ::setrlimit(RLIMIT_AS, &before_); }

 private:
  rlimit before_{};
};

// More than glibc has free in a process that has just started.
constexpr std::size_t large = 400'000;

TEST_CASE("the reserve gives what malloc() has not, and is not needed when malloc() has it again") {
  REQUIRE_FALSE(reserve::is_needed());
  void* block = nullptr;
  {
    const NoMemory none;
    REQUIRE(std::malloc(large) == nullptr);
    block = reserve::allocate(large);
    CHECK(block != nullptr);
    CHECK(reserve::is_needed());
    CHECK(reserve::is_needed());
  }
  std::memset(block, 1, large);
  reserve::release(block);
  CHECK_FALSE(reserve::is_needed());
}

TEST_CASE("a block of the reserve is moved to where there is room, with what is in it") {
  char* block = nullptr;
  {
    const NoMemory none;
    block = static_cast<char*>(reserve::allocate_zeroed(large / 4, 1));
    if (!block) FAIL("no block");
    CHECK(block[0] == 0);
    CHECK(block[large / 4 - 1] == 0);
    std::memset(block, 7, large / 4);
    block = static_cast<char*>(reserve::reallocate(block, large));
    REQUIRE(block != nullptr);
    CHECK(block[large / 4 - 1] == 7);
  }
  block = static_cast<char*>(reserve::reallocate(block, 2 * large));
  REQUIRE(block != nullptr);
  CHECK(block[large / 4 - 1] == 7);
  reserve::release(block);
}

TEST_CASE("no single block takes the whole reserve, and no product of two numbers overflows") {
  const NoMemory none;
  CHECK(reserve::allocate(std::size_t{2} << 20) == nullptr);
  CHECK(reserve::allocate_zeroed(SIZE_MAX / 2, 4) == nullptr);
}

TEST_CASE("blocks of any size and order never overlap, and the whole reserve is free again in the end") {
  std::mt19937 random(1);
  std::vector<std::pair<unsigned char*, std::size_t>> blocks;
  blocks.reserve(2'000);
  const auto is_whole = [](const auto& one) {
    for (std::size_t i = 0; i < one.second; i += 997)
      if (one.first[i] != static_cast<unsigned char>(one.second)) return false;
    return true;
  };
  bool whole = true;
  std::size_t large_blocks = 0;
  {
    const NoMemory none;
    for (int i = 0; i < 20'000; ++i) {
      if (blocks.size() < 1'500 && random() % 2 == 0) {
        const std::size_t size = 1 + random() % (random() % 8 == 0 ? 20'000 : 600);
        auto* block = static_cast<unsigned char*>(reserve::allocate(size));
        if (!block) continue;
        std::memset(block, static_cast<unsigned char>(size), size);
        blocks.emplace_back(block, size);
      } else if (!blocks.empty()) {
        std::swap(blocks[random() % blocks.size()], blocks.back());
        whole = whole && is_whole(blocks.back());
        reserve::release(blocks.back().first);
        blocks.pop_back();
      }
    }
    for (const auto& one : blocks) reserve::release(one.first);
    // The free blocks were joined: otherwise eight of half a MiB would not fit.
    void* found[8];
    for (auto& one : found) large_blocks += (one = reserve::allocate(500'000)) != nullptr;
    for (auto* one : found) reserve::release(one);
  }
  CHECK(whole);
  CHECK(large_blocks >= 8);
}

}  // namespace
}  // namespace liveswap
