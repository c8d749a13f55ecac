#include <uv.h>

#include <new>

#include "base/reserve.hpp"

// How the program `liveswap` allocates (base/reserve.hpp). Linked into that alone: a program that embeds
// liveswap keeps its own operator new.
namespace {

namespace reserve = liveswap::reserve;

// Before main(), since libuv wants it before its first allocation. Fails for null pointers alone.
[[maybe_unused]] const int replaced =
    uv_replace_allocator(reserve::allocate, reserve::reallocate, reserve::allocate_zeroed, reserve::release);

}  // namespace

// The standard library makes the other forms of new and delete of these.
void* operator new(std::size_t size) {
  // Null is malloc's answer to 0, too; new must return an address.
  if (void* block = reserve::allocate(size == 0 ? 1 : size)) return block;
  throw std::bad_alloc();
}

void operator delete(void* block) noexcept { reserve::release(block); }

void operator delete(void* block, std::size_t) noexcept { reserve::release(block); }
