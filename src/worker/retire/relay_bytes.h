/* Relays bytes from one stream socket to another. */
#ifndef LIVESWAP_WORKER_RETIRE_RELAY_BYTES_H
#define LIVESWAP_WORKER_RETIRE_RELAY_BYTES_H

#include <stdint.h>

enum relayed {
  RELAYED_ALL,
  RELAYED_SOME,   /* `to` has no room for more */
  RELAYED_CLOSED, /* all, and `from` is at its end */
};

/* Relays all bytes that `from` has, without blocking; discards them if `to` is -1 or gone. Adds the number to
 * `total`. For the control thread. */
enum relayed relay(int from, int to, uint64_t* total);

#endif
