#ifndef LIVESWAP_WORKER_LOAD_H
#define LIVESWAP_WORKER_LOAD_H

#include <stdint.h>

struct loaded {
  void (*entry)(void); /* to be cast to the type of the function that was asked for */
  uint32_t flags;      /* of the ABI note */
  void* library;       /* of dlopen */
};

/*
 * Loads the library at `path` (absolute) for good and finds the function `entry`. Tells the master each
 * stage; on a failure tells it why and ends the process. Constructors run here, on the calling thread.
 */
struct loaded load(const char* path, const char* entry);

#endif
