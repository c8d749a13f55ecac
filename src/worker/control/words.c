#include "words.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "liveswap_plugin.h"
#include "wakeup_signal.h"
#include "worker/api/drain.h"
#include "worker/api/readiness.h"
#include "worker/api/served.h"
#include "worker/base/clock.h"
#include "worker/base/fd_flags.h"
#include "worker/base/wake.h"

enum {
  WORD_MAX = 256, /* bytes of a line; more is not a word of the protocol */
  MESSAGE_ROOM = 65536,
  SEND_AGAIN_MS = 50,   /* the application has not read what was sent before */
  SERVED_MAX = 1 << 30, /* of one word; more is a mistake */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static _Atomic int words = -1;
static char line[WORD_MAX];
static size_t length;
static bool is_too_long; /* the rest of the line is left out */
static atomic_bool wants_messages;

/* Used by the control thread only. */
static bool has_told_drain;
static char message[MESSAGE_ROOM + 32]; /* with the line before it */
static size_t message_size;
static size_t message_sent;

static void count_served(const char* numbers) {
  char* rest;
  const unsigned long long all = strtoull(numbers, &rest, 10);
  const unsigned long long failed = strtoull(rest, NULL, 10);
  if (all <= SERVED_MAX && failed <= all) served_add(all, failed);
}

static void carry_out(const char* word) {
  if (strcmp(word, "ready") == 0) liveswap_ready();
  else if (strcmp(word, "defer") == 0) liveswap_defer_ready();
  else if (strcmp(word, "hold") == 0) liveswap_hold();
  else if (strcmp(word, "release") == 0) liveswap_release();
  else if (strncmp(word, "served ", 7) == 0) count_served(word + 7);
  else if (strcmp(word, "messages") == 0) atomic_store(&wants_messages, true);
}

/* The caller has the lock. */
static void take(const char* bytes, size_t size) {
  for (size_t i = 0; i < size; ++i) {
    if (bytes[i] == '\n') {
      line[length] = '\0';
      if (!is_too_long) carry_out(line);
      length = 0;
      is_too_long = false;
    } else if (length + 1 < sizeof line) {
      line[length++] = bytes[i];
    } else {
      is_too_long = true;
    }
  }
}

void words_setup(int fd) {
  if (fd < 0) return;
  words = host_fd(fd);
  wakeup_signal_add(fd);
  readiness_before_wait(words_serve);
}

int words_fd(void) { return words; }

/* The application has closed its end. The caller has the lock. */
static void end(void) {
  const int fd = atomic_exchange(&words, -1);
  wakeup_signal_add(-1);
  host_fd_close(fd);
}

void words_serve(void) {
  char bytes[4096];
  const bool wanted = atomic_load(&wants_messages);
  pthread_mutex_lock(&lock);
  for (ssize_t size = 1; words >= 0 && size > 0;) {
    size = recv(words, bytes, sizeof bytes, MSG_DONTWAIT);
    if (size > 0) take(bytes, (size_t)size);
    else if (size == 0 || (errno != EAGAIN && errno != EINTR)) end();
  }
  pthread_mutex_unlock(&lock);
  if (atomic_load(&wants_messages) != wanted) wake_control_thread();
}

/* The next message, with the line before it. False: there is none. */
static bool next_message(void) {
  static char text[MESSAGE_ROOM];
  const ssize_t size = liveswap_message(text, sizeof text);
  if (size <= 0) return false;
  const int head = snprintf(message, sizeof message, "message %zd\n", size);
  memcpy(message + head, text, (size_t)size);
  message_size = (size_t)head + (size_t)size;
  message_sent = 0;
  return true;
}

/* False: no room now. */
static bool send_message(void) {
  while (message_sent < message_size) {
    const ssize_t sent =
        send(words, message + message_sent, message_size - message_sent, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent < 0) return errno != EAGAIN && errno != EINTR;
    message_sent += (size_t)sent;
  }
  return true;
}

/* liveswap_drain_left_ms() would say that the application drains by itself. */
static long drain_left(void) {
  const int64_t end_ms = drain_deadline();
  if (end_ms < 0) return -1;
  const int64_t left = end_ms - clock_ms();
  return left > 0 ? (long)left : 0;
}

int64_t words_step(void) {
  if (words < 0) return -1;
  if (!send_message()) return clock_ms() + SEND_AGAIN_MS;
  if (drain_is_on() && !has_told_drain) {
    char word[64];
    const int size = snprintf(word, sizeof word, "draining %ld\n", drain_left());
    has_told_drain = send(words, word, (size_t)size, MSG_DONTWAIT | MSG_NOSIGNAL) == size;
    if (!has_told_drain) return clock_ms() + SEND_AGAIN_MS;
  }
  while (atomic_load(&wants_messages) && next_message())
    if (!send_message()) return clock_ms() + SEND_AGAIN_MS;
  return -1;
}
