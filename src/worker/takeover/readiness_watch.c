#include "readiness_watch.h"

#include <stdbool.h>
#include <sys/socket.h>

#include "io_uring.h"
#include "liveswap_plugin.h"
#include "replace_fd.h"
#include "worker/api/drain.h"
#include "worker/api/listeners.h"
#include "worker/api/readiness.h"
#include "worker/base/clock.h"
#include "worker/base/fd_flags.h"
#include "worker/base/options.h"
#include "worker/base/proc_self.h"
#include "worker/base/socket.h"
#include "worker/base/thread_interrupt.h"
#include "worker/link/channel.h"

enum {
  SCAN_EVERY_MS = 20,
  /* After this time a listening socket counts as waited for, where some waits cannot be seen (io_uring, raw
   * system calls). */
  UNSEEN_MS = 100,
  /* The same for a UDP socket from which the application may receive without waiting, between other work. */
  POLLED_MS = 1000,
  WARN_AFTER_MS = 5000,
  /* Scans for further listeners end after this time. */
  SCANS_END_MS = 5000,
};

/* Results of one scan. */
struct scan {
  int64_t now;
  int64_t longest; /* longest time that a listener has not been seen in use */
  bool unseen;     /* the application has bound a listener on which no wait was found */
  bool datagrams;  /* a UDP listener has no seen wait yet */
};

/* How long a listener must listen to count as waited for; -1: listening alone is no sign. */
static int64_t listening_counts_after(int fd, const struct listener* listener, struct scan* scan) {
  const bool is_registered = replace_fd_is_registered(fd);
  if (listener->type == SOCK_DGRAM) {
    scan->datagrams = true;
    return is_registered || listener->is_read ? UNSEEN_MS : POLLED_MS;
  }
  if (is_registered) return 0;
  /* A lent listener listens from the start, which shows nothing. */
  return listener->name == NULL && (io_uring_is_there() || options_seccomp_is_on()) ? UNSEEN_MS : -1;
}

/* The application accepts unseen, by io_uring: fail now if a drain could not cancel that. */
static void check_uring(void) {
  static const char* const troubles[] = {
      [URING_SINGLE_ISSUER] =
          "the application accepts by an io_uring that only one thread may use "
          "(IORING_SETUP_SINGLE_ISSUER), so a drain could not cancel the accept; set the ring up without "
          "that flag, or drain by liveswap_drain_fd()",
      [URING_OLD_KERNEL] =
          "the application accepts by io_uring, which only Linux 6.0 and later can cancel in a drain; "
          "upgrade the kernel, or drain by liveswap_drain_fd()"};
  const enum io_uring_trouble trouble = drain_is_cooperative() ? URING_FINE : io_uring_trouble();
  if (trouble != URING_FINE) channel_fail(LIVESWAP_STAGE_START, "%s", troubles[trouble]);
}

static void warn_no_wait_seen(void) {
  liveswap_log(LIVESWAP_WARNING,
               "not ready yet: the application listens, but was not seen waiting for a connection (accept, "
               "poll, select, epoll); an application that waits in another way calls liveswap_ready()");
}

/* No interposed call shows a wait on the application's own listener: count listening as waiting. */
static void examine_own(int fd, struct scan* scan) {
  static uint64_t cookie;
  static int64_t since;
  uint64_t found = 0;
  if (readiness_own_is_noted() || (fd_flags(fd) & FLAG_OWN) == 0 || !socket_listens(fd) ||
      !socket_cookie(fd, &found))
    return;
  scan->unseen = true;
  if (found != cookie) since = scan->now;
  cookie = found;
  if (scan->now - since < UNSEEN_MS) return;
  readiness_note_own(cookie);
}

static void examine(int fd, void* context) {
  struct scan* scan = context;
  const struct listener* listener = listeners_find(fd);
  if (listener == NULL) {
    examine_own(fd, scan);
    return;
  }
  if (listener->waited || (listener->type != SOCK_DGRAM && !socket_listens(fd))) return;
  const int64_t age = scan->now - listeners_unseen_since(listener, scan->now);
  const int64_t enough = listening_counts_after(fd, listener, scan);
  if (enough < 0 || age < enough) {
    if (listener->name == NULL) scan->unseen = true;
    if (listener->name == NULL && age > scan->longest) scan->longest = age;
    return;
  }
  if (enough > 0) check_uring();
  readiness_note_wait(listener);
}

static void note_reader(int fd) {
  const struct listener* listener = listeners_find(fd);
  if (listener != NULL && listener->type == SOCK_DGRAM) listeners_note_read(listener);
}

int64_t readiness_watch_step(void) {
  static bool warned;
  static bool has_datagrams;
  static int64_t began;
  if (!readiness_needs_scan()) return -1;
  struct scan scan = {.now = clock_ms()};
  if (began == 0) began = scan.now;
  if (has_datagrams) interrupt_note_readers(note_reader);
  proc_self_each_descriptor(examine, &scan);
  has_datagrams = scan.datagrams;
  if (readiness_is_shown() && (!scan.unseen || scan.longest >= SCANS_END_MS)) return -1;
  /* The application uses lent listeners only and may never wait on all of them. */
  if (!readiness_is_awaited() && scan.now - began >= SCANS_END_MS) return -1;
  if (scan.longest >= WARN_AFTER_MS && !warned) {
    warned = true;
    warn_no_wait_seen();
  }
  return scan.now + SCAN_EVERY_MS;
}
