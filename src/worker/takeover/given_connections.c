#include "given_connections.h"

#include <stdatomic.h>
#include <stdint.h>

#include "worker/base/socket.h"

enum { REMEMBERED = 1024 };

static _Atomic uint64_t cookies[REMEMBERED]; /* 0: none; the kernel counts from 1 */
static unsigned added;

bool given_connections_add(int connection) {
  uint64_t cookie;
  if (!socket_cookie(connection, &cookie)) return true;
  for (int i = 0; i < REMEMBERED; ++i)
    if (atomic_load(&cookies[i]) == cookie) return false;
  atomic_store(&cookies[added++ % REMEMBERED], cookie);
  return true;
}

void given_connections_forget(int connection) {
  uint64_t cookie;
  if (!socket_cookie(connection, &cookie)) return;
  for (int i = 0; i < REMEMBERED; ++i) {
    uint64_t same = cookie;
    if (atomic_compare_exchange_strong(&cookies[i], &same, 0)) return;
  }
}
