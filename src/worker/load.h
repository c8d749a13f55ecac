#ifndef LIVESWAP_WORKER_LOAD_H
#define LIVESWAP_WORKER_LOAD_H

#include <stdint.h>

struct loaded {
  void (*entry)(void); /* cast this to the type of the entry */
  uint32_t flags;      /* from the ABI note; 0 without one */
  void* library;       /* from dlopen(), never closed */
};

/*
 * Loads the library at `path` (absolute) for good and finds the function `entry`. Constructors run on the
 * calling thread. Reports each stage to the master; on failure reports why and ends the process.
 */
struct loaded load(const char* path, const char* entry);

#endif
