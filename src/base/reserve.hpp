#pragma once

#include <cstddef>

// Memory for the time when malloc() has none.
//
// A container that cannot allocate throws, and an exception in the middle of an event leaves what the event
// has begun half done: a worker that nobody knows of, an upgrade that never ends. So the command line's
// program allocates by these functions (cli/allocation.cpp), C++ and libuv alike: they ask malloc(), ask once
// more, and then take from a reserve that belongs to this process from its start. The events of workers, of
// time and of signals go on with it. The reserve is small; so, while it is needed, the control server takes
// no new commands (control_server.hpp).
//
// The reserve costs address space and no memory until it is used. All functions may be called on any thread;
// none throws.
namespace liveswap::reserve {

// As malloc(), realloc(), calloc() and free(). Null: neither malloc() nor the reserve has so much.
void* allocate(std::size_t size);
void* reallocate(void* block, std::size_t size);
void* allocate_zeroed(std::size_t count, std::size_t size);
void release(void* block);

// Whether malloc() has failed and still does: asks it, if it has failed since the last call that said no.
bool is_needed();

}  // namespace liveswap::reserve
