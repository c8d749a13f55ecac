#include "control.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <unistd.h>

#include "channel.h"
#include "clock.h"
#include "count.h"
#include "drain.h"
#include "inbox.h"
#include "linger.h"
#include "liveswap_plugin.h"
#include "orphan.h"
#include "seize.h"

/* Its deepest path, seize.c, needs 8 KiB; glibc puts the static TLS of the process on the same stack. */
enum { STACK_SIZE = 256 * 1024 };

static const struct options* options;
static atomic_bool entered;

static void serve_frame(const struct liveswap_frame* frame, const char* text, size_t size) {
  switch (frame->kind) {
    case LIVESWAP_DRAIN:
      drain_order(frame->value);
      break;
    case LIVESWAP_EXPIRED:
      seize_listeners();
      break;
    case LIVESWAP_MESSAGE:
      channel_send_value(inbox_put(text, size) ? LIVESWAP_TAKEN : LIVESWAP_REFUSED, frame->value);
      break;
    case LIVESWAP_COUNT:
      count_answer(frame->value);
      break;
    default:
      break; /* of a newer master */
  }
}

/* False once the master is gone. */
static bool serve_channel(void) {
  static char text[LIVESWAP_TEXT_MAX];
  struct liveswap_frame frame;
  size_t size = 0;
  switch (channel_receive(&frame, text, &size)) {
    case CHANNEL_FRAME:
      serve_frame(&frame, text, size);
      return true;
    case CHANNEL_NOTHING:
      return true;
    case CHANNEL_GONE:
      break;
  }
  if (!atomic_load(&entered)) _exit(LIVESWAP_EXIT_LOAD);
  orphan_begin(options->drain_limit_ms, options->term_grace_ms);
  return false;
}

/* For poll: until the earlier of two times, either of which may be -1 for never. */
static int timeout_until(int64_t one, int64_t other) {
  const int64_t end = one < 0 || (other >= 0 && other < one) ? other : one;
  if (end < 0) return -1;
  const int64_t left = end - clock_ms();
  return left < 0 ? 0 : left > INT_MAX ? INT_MAX : (int)left;
}

static void* control(void* unused) {
  (void)unused;
  pthread_setname_np(pthread_self(), "lsw-control");
  bool connected = true;
  int64_t count_due = -1;
  for (;;) {
    if (connected && liveswap_draining() != 0 && clock_ms() >= count_due) count_due = count_report_change();
    if (!connected) count_due = -1;
    /* poll leaves negative descriptors out. */
    struct pollfd wake[2] = {{connected ? channel_fd() : -1, POLLIN, 0}, {linger_fd(), POLLIN, 0}};
    poll(wake, 2, timeout_until(count_due, orphan_step()));
    if (wake[0].revents != 0) connected = serve_channel();
    if (wake[1].revents != 0) linger_serve();
  }
  return NULL;
}

bool control_start(const struct options* of_process) {
  options = of_process;
  pthread_attr_t attributes;
  pthread_t thread;
  sigset_t all;
  sigset_t before;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, STACK_SIZE);
  pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  sigfillset(&all);
  pthread_sigmask(SIG_BLOCK, &all, &before);
  errno = pthread_create(&thread, &attributes, control, NULL);
  const bool started = errno == 0;
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  pthread_attr_destroy(&attributes);
  return started;
}

void control_entered(void) { atomic_store(&entered, true); }
