#pragma once

#include <cstddef>

// A memory reserve for when malloc() fails.
//
// An exception in the middle of an event would leave half-done work: a worker that the master has no record
// of, an upgrade that never ends. So the program `liveswap` (C++ and libuv) allocates through these functions
// (master/program/allocation.cpp). They try malloc() twice and then take from a static reserve. Events of
// workers, timers and signals can still be handled. The reserve is small, so the control server refuses new
// commands while the reserve is in use (master/control/control_server.hpp).
//
// The reserve is address space; its pages cost no memory until used. All functions are thread-safe and
// noexcept.
namespace liveswap::reserve {

// As malloc(), realloc(), calloc() and free(). Null: neither malloc() nor the reserve has enough.
void* allocate(std::size_t size);
void* reallocate(void* block, std::size_t size);
void* allocate_zeroed(std::size_t count, std::size_t size);
void release(void* block);

// Whether malloc() fails. Probes malloc() only if it has failed since the last call that returned false.
bool is_needed();

}  // namespace liveswap::reserve
