#include "readiness.h"

#include <pthread.h>

#include "channel.h"
#include "liveswap_plugin.h"

/* Held while sending, so that ENTERED, DEFERRED and READY leave in the order in which they became true. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static bool entered;
static bool deferred;
static bool ready;

void readiness_enter(bool deferred_by_note) {
  pthread_mutex_lock(&lock);
  entered = true;
  if (deferred_by_note) deferred = true;
  channel_send_value(LIVESWAP_ENTERED, deferred || ready);
  if (ready) channel_send_value(LIVESWAP_READY, 0);
  pthread_mutex_unlock(&lock);
}

void liveswap_ready(void) {
  pthread_mutex_lock(&lock);
  if (!ready && entered) channel_send_value(LIVESWAP_READY, 0);
  ready = true;
  pthread_mutex_unlock(&lock);
}

void liveswap_defer_ready(void) {
  pthread_mutex_lock(&lock);
  if (!deferred && !ready && entered) channel_send_value(LIVESWAP_DEFERRED, 0);
  deferred = true;
  pthread_mutex_unlock(&lock);
}
