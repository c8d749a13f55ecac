#include "base/reserve.hpp"

#include <malloc.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <mutex>

// A first-fit heap in an array. Each block, used or free, starts with a header. Blocks lie back to back, so
// the next header follows the block. A search joins adjacent free blocks.
namespace liveswap::reserve {
namespace {

constexpr std::size_t capacity = std::size_t{4} << 20;

// Limit of one block: a single command must not exhaust the reserve.
constexpr std::size_t largest = std::size_t{512} << 10;

// The reserve is needed until malloc() can provide this much again: more than any event allocates at once.
constexpr std::size_t probe_size = std::size_t{256} << 10;

struct alignas(std::max_align_t) Header {
  std::size_t size;  // of the block including this header; 0: array not yet used
  bool used;
};

alignas(std::max_align_t) char bytes[capacity];
std::mutex lock;
std::atomic<bool> has_failed{false};

Header* at(std::size_t offset) { return reinterpret_cast<Header*>(bytes + offset); }

bool is_ours(const void* block) {
  const auto address = reinterpret_cast<std::uintptr_t>(block);
  const auto begin = reinterpret_cast<std::uintptr_t>(bytes);
  return address >= begin && address < begin + capacity;
}

void join_free(std::size_t offset) {
  Header* header = at(offset);
  while (offset + header->size < capacity && !at(offset + header->size)->used)
    header->size += at(offset + header->size)->size;
}

// Includes the header; rounded up so that the next header is aligned.
std::size_t size_of_block(std::size_t size) {
  const std::size_t headers = (std::max<std::size_t>(size, 1) + sizeof(Header) - 1) / sizeof(Header);
  return (1 + headers) * sizeof(Header);
}

void* take(std::size_t size) {
  if (size > largest) return nullptr;
  const std::size_t wanted = size_of_block(size);
  const std::lock_guard guard(lock);
  if (at(0)->size == 0) *at(0) = {capacity, false};
  for (std::size_t offset = 0; offset < capacity; offset += at(offset)->size) {
    if (at(offset)->used) continue;
    join_free(offset);
    const std::size_t found = at(offset)->size;
    if (found < wanted) continue;
    if (found > wanted) *at(offset + wanted) = {found - wanted, false};
    *at(offset) = {wanted, true};
    return bytes + offset + sizeof(Header);
  }
  return nullptr;
}

Header* header_of(void* block) { return static_cast<Header*>(block) - 1; }

// A single failure may be transient, so malloc() is tried twice.
template <class Ask>
void* ask_twice(Ask&& ask) {
  if (void* block = ask()) return block;
  has_failed = true;
  return ask();
}

}  // namespace

void* allocate(std::size_t size) {
  void* block = ask_twice([size] { return std::malloc(size); });
  return block ? block : take(size);
}

void* allocate_zeroed(std::size_t count, std::size_t size) {
  void* block = ask_twice([count, size] { return std::calloc(count, size); });
  if (block || (size != 0 && count > largest / size)) return block;
  block = take(count * size);
  if (block) std::memset(block, 0, count * size);
  return block;
}

void* reallocate(void* block, std::size_t size) {
  if (!block) return allocate(size);
  const bool ours = is_ours(block);
  if (!ours)
    if (void* moved = ask_twice([block, size] { return std::realloc(block, size); })) return moved;
  void* moved = ours ? allocate(size) : take(size);
  if (!moved) return nullptr;
  const std::size_t before = ours ? header_of(block)->size - sizeof(Header) : ::malloc_usable_size(block);
  std::memcpy(moved, block, std::min(before, size));
  release(block);
  return moved;
}

void release(void* block) {
  if (!is_ours(block)) return std::free(block);
  const std::lock_guard guard(lock);
  header_of(block)->used = false;
}

bool is_needed() {
  if (!has_failed) return false;
  void* probe = std::malloc(probe_size);
  if (!probe) return true;
  std::free(probe);
  has_failed = false;
  return false;
}

}  // namespace liveswap::reserve
