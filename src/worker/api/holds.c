#include "holds.h"

#include <pthread.h>
#include <stdint.h>
#include <time.h>

#include "drain.h"
#include "liveswap_plugin.h"
#include "worker/base/clock.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed;
static unsigned long application;
static unsigned long lingering;

bool holds_setup(void) { return clock_condition(&changed); }

static void add(unsigned long* count) {
  pthread_mutex_lock(&lock);
  ++*count;
  pthread_mutex_unlock(&lock);
}

static void drop(unsigned long* count) {
  pthread_mutex_lock(&lock);
  if (*count > 0) --*count;
  pthread_cond_broadcast(&changed);
  pthread_mutex_unlock(&lock);
}

void holds_linger_began(void) { add(&lingering); }
void holds_linger_ended(void) { drop(&lingering); }
void liveswap_hold(void) { add(&application); }
void liveswap_release(void) { drop(&application); }

void holds_review(void) {
  pthread_mutex_lock(&lock);
  pthread_cond_broadcast(&changed);
  pthread_mutex_unlock(&lock);
}

bool holds_none(void) {
  pthread_mutex_lock(&lock);
  const bool none = application == 0 && lingering == 0;
  pthread_mutex_unlock(&lock);
  return none;
}

void holds_wait(void) {
  const int64_t returned = clock_ms();
  pthread_mutex_lock(&lock);
  for (;;) {
    const bool draining = drain_is_on();
    const int64_t end = draining ? drain_deadline() : returned + LINGER_LIMIT_MS;
    const bool held = lingering > 0 || (draining && application > 0);
    if (!held || (end >= 0 && clock_ms() >= end)) break;
    const struct timespec until = clock_timespec(end < 0 ? 0 : end);
    if (end < 0) pthread_cond_wait(&changed, &lock);
    else pthread_cond_timedwait(&changed, &lock, &until);
  }
  pthread_mutex_unlock(&lock);
}
