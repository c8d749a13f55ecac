/* Heartbeats of the application (liveswap_plugin.h: liveswap_heartbeat). */
#ifndef LIVESWAP_WORKER_API_HEARTBEAT_H
#define LIVESWAP_WORKER_API_HEARTBEAT_H

#include <stdint.h>

/* How often the master wants a heartbeat, in ms; 0: never. Called before the application runs. */
void heartbeat_setup(int64_t every_ms);

#endif
