/* Requests that the application says it has answered: liveswap_served() of liveswap_plugin.h. */
#ifndef LIVESWAP_WORKER_API_SERVED_H
#define LIVESWAP_WORKER_API_SERVED_H

#include "contract/channel.h"

/* So far. Never more failed than served. */
struct liveswap_served_count served_count(void);

#endif
