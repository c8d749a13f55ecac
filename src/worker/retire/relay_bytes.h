/* Passing bytes on from one stream socket to another. */
#ifndef LIVESWAP_WORKER_RETIRE_RELAY_BYTES_H
#define LIVESWAP_WORKER_RETIRE_RELAY_BYTES_H

#include <stdint.h>

enum relayed {
  RELAYED_ALL,
  RELAYED_SOME,   /* `to` has no room for more */
  RELAYED_CLOSED, /* all, and no more comes */
};

/* What there is of `from`; `to` -1, or gone: it is thrown away. Adds to `total` what was passed on. For the
 * control thread. */
enum relayed relay(int from, int to, uint64_t* total);

#endif
