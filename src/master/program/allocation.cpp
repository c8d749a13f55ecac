#include <uv.h>

#include <new>

#include "base/reserve.hpp"

// The allocator of the program `liveswap` (base/reserve.hpp). Linked into that program only: an embedding
// program keeps the standard operator new.
namespace {

namespace reserve = liveswap::reserve;

// Before main(): libuv requires this before the first allocation. Fails for null pointers only.
[[maybe_unused]] const int replaced =
    uv_replace_allocator(reserve::allocate, reserve::reallocate, reserve::allocate_zeroed, reserve::release);

}  // namespace

// The standard library implements the other forms of new and delete by these. A sanitizer does not: the form
// without exceptions, which std::stable_sort() uses, is replaced for it.
void* operator new(std::size_t size) {
  // malloc(0) may return null; new must return an address.
  if (void* block = reserve::allocate(size == 0 ? 1 : size)) return block;
  throw std::bad_alloc();
}

void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
  return reserve::allocate(size == 0 ? 1 : size);
}

void operator delete(void* block) noexcept { reserve::release(block); }

void operator delete(void* block, std::size_t) noexcept { reserve::release(block); }
