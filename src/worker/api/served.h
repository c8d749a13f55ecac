/* Requests counted by liveswap_served() (liveswap_plugin.h). */
#ifndef LIVESWAP_WORKER_API_SERVED_H
#define LIVESWAP_WORKER_API_SERVED_H

#include <stdint.h>

#include "contract/channel.h"

/* Adds requests, of which `failed` have failed. The first are announced to the master (LIVESWAP_SERVED). Any
 * thread; does not block. */
void served_add(uint64_t all, uint64_t failed);

/* The numbers so far; never more failed than served. Any thread. */
struct liveswap_served_count served_count(void);

#endif
