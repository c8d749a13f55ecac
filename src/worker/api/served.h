/* Requests counted by liveswap_served() (liveswap_plugin.h). */
#ifndef LIVESWAP_WORKER_API_SERVED_H
#define LIVESWAP_WORKER_API_SERVED_H

#include "contract/channel.h"

/* The numbers so far; never more failed than served. Any thread. */
struct liveswap_served_count served_count(void);

#endif
