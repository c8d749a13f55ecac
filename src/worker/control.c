#include "control.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "aside.h"
#include "channel.h"
#include "clock.h"
#include "count.h"
#include "drain.h"
#include "inbox.h"
#include "linger.h"
#include "liveswap_plugin.h"
#include "orphan.h"
#include "output.h"
#include "readiness.h"
#include "seize.h"
#include "self.h"
#include "takeover/adopt.h"
#include "takeover/child.h"
#include "takeover/descendants.h"
#include "takeover/give_back.h"
#include "takeover/handoff.h"
#include "takeover/marks.h"
#include "takeover/question.h"
#include "takeover/real.h"
#include "takeover/replace.h"
#include "takeover/retire.h"
#include "takeover/stray.h"

/* Its deepest path, seize.c, needs 8 KiB; glibc puts the static TLS of the process on the same stack. */
enum { STACK_SIZE = 256 * 1024 };

static const struct options* options;
static atomic_bool entered;
static int wake_fd = -1;
static cpu_set_t affinity; /* empty, and then left alone, where there are more than fit */

static void drain(int64_t limit_ms, bool succeeded) {
  drain_order(limit_ms);
  adopt_stop();
  /* Also those that were made by vfork() or posix_spawn(). */
  if (descendants_may_be()) channel_send((struct liveswap_frame){.kind = LIVESWAP_FORKED}, NULL, 0);
  if (!drain_is_the_applications()) retire_begin(options, succeeded);
}

static void adopt(const char* text, size_t size, uint64_t waited_ms, int fd) {
  uint64_t cookie = 0;
  if (fd < 0) {
    liveswap_log(LIVESWAP_WARNING,
                 "lost a connection of the worker before: no descriptor was left for it (RLIMIT_NOFILE)");
    return;
  }
  if (size != sizeof cookie) {
    real.close(fd);
    return;
  }
  memcpy(&cookie, text, sizeof cookie);
  adopt_put(cookie, fd, (int64_t)waited_ms);
}

static void replace(const char* text, size_t size, int fd) {
  uint64_t cookie = 0;
  if (fd < 0) {
    liveswap_log(LIVESWAP_WARNING,
                 "no descriptor was left for the socket that replaces a listener (RLIMIT_NOFILE)");
    return;
  }
  if (size == sizeof cookie) memcpy(&cookie, text, sizeof cookie);
  replace_lost(cookie, fd);
}

/* `fd` is owned, or -1. */
static void serve_frame(const struct liveswap_frame* frame, const char* text, size_t size, int fd) {
  switch (frame->kind) {
    case LIVESWAP_ANSWER:
      question_answered(frame->value, (int)frame->count, fd);
      return;
    case LIVESWAP_ADOPT:
      adopt(text, size, frame->count, fd);
      return;
    case LIVESWAP_REPLACE:
      replace(text, size, fd);
      return;
    case LIVESWAP_DRAIN:
      drain(frame->value, (frame->count & LIVESWAP_DRAIN_SUCCEEDED) != 0);
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
  if (fd >= 0) real.close(fd);
}

/* False once the master is gone. */
static bool serve_channel(void) {
  static char text[LIVESWAP_TEXT_MAX];
  struct liveswap_frame frame;
  size_t size = 0;
  int fd = -1;
  switch (channel_receive(&frame, text, &size, &fd)) {
    case CHANNEL_FRAME:
      serve_frame(&frame, text, size, fd);
      return true;
    case CHANNEL_NOTHING:
      return true;
    case CHANNEL_GONE:
      break;
  }
  if (!control_has_entered()) real._exit(LIVESWAP_EXIT_LOAD);
  output_abandoned();
  question_give_up();
  handoff_give_up();
  orphan_begin(options->drain_limit_ms, options->term_grace_ms);
  if (!drain_is_the_applications()) retire_begin(options, false);
  return false;
}

/* Either may be -1, for never. */
static int64_t earlier(int64_t one, int64_t other) {
  return one < 0 || (other >= 0 && other < one) ? other : one;
}

/* For poll. */
static int timeout_until(int64_t end) {
  if (end < 0) return -1;
  const int64_t left = end - clock_ms();
  return left < 0 ? 0 : left > INT_MAX ? INT_MAX : (int)left;
}

/* `before` points to the one whose place it takes, or is NULL; it starts with what the application has made
 * of its own thread. */
static void* control(void* before) {
  if (before != NULL) pthread_join(*(const pthread_t*)before, NULL);
  pthread_setname_np(pthread_self(), "lsw-control");
  sched_setscheduler(0, SCHED_OTHER, &(struct sched_param){0});
  sched_setaffinity(0, sizeof affinity, &affinity);
  aside_put_off();
  bool connected = true;
  int64_t count_due = -1;
  for (;;) {
    if (connected && drain_is_on() && clock_ms() >= count_due) count_due = count_report_change();
    if (!connected) count_due = -1;
    int64_t due = earlier(count_due, orphan_step());
    due = earlier(due, seize_step());
    due = earlier(due, retire_step());
    due = earlier(due, handoff_step());
    due = earlier(due, adopt_step());
    due = earlier(due, give_back_step());
    due = earlier(due, readiness_step());
    due = earlier(due, stray_step());
    /* poll leaves negative descriptors out. */
    struct pollfd wake[] = {{connected ? channel_fd() : -1, POLLIN, 0},
                            {linger_fd(), POLLIN, 0},
                            {wake_fd, POLLIN, 0},
                            {child_fd(), POLLIN, 0},
                            {handoff_fd(), POLLIN, 0},
                            {output_fd(0), POLLIN, 0},
                            {output_fd(1), POLLIN, 0}};
    enum { COUNT = sizeof wake / sizeof wake[0] };
    if (due < 0 && aside_leave(wake, COUNT)) return NULL;
    if (real.poll(wake, COUNT, timeout_until(due < 0 ? aside_due() : due)) != 0) aside_put_off();
    eventfd_t unused;
    if (wake[0].revents != 0) connected = serve_channel();
    if (wake[1].revents != 0) linger_serve();
    if (wake[2].revents != 0) eventfd_read(wake_fd, &unused);
    if (wake[3].revents != 0) child_serve_report();
    if (wake[4].revents != 0) handoff_serve();
    if (wake[5].revents != 0 || wake[6].revents != 0) output_abandoned();
  }
  return NULL;
}

/* The thread has every signal blocked. */
static bool start(pthread_t* thread, pthread_t* before) {
  pthread_attr_t attributes;
  sigset_t all;
  sigset_t mask;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, STACK_SIZE);
  sigfillset(&all);
  real.pthread_sigmask(SIG_BLOCK, &all, &mask);
  errno = real.pthread_create(thread, &attributes, control, before);
  const bool started = errno == 0;
  real.pthread_sigmask(SIG_SETMASK, &mask, NULL);
  pthread_attr_destroy(&attributes);
  return started;
}

bool control_setup(const struct options* of_process) {
  options = of_process;
  wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (wake_fd < 0) return false;
  marks_set(wake_fd, MARK_HOST);
  sched_getaffinity(0, sizeof affinity, &affinity);
  return true;
}

bool control_begin(void) {
  /* Of one whose successor has begun there can be no other: that joins it first. */
  static pthread_t before;
  static pthread_t present;
  static bool is_first = true;
  pthread_t next;
  before = present;
  if (!start(&next, is_first ? NULL : &before)) return false;
  present = next;
  is_first = false;
  return true;
}

/* Counting takes a microsecond for each descriptor, which the application would wait for. */
static bool has_few_descriptors(void) {
  enum { FEW = 1024 };
  char status[1024];
  if (self_read("status", status, sizeof status) <= 0) return false;
  const char* const size = strstr(status, "\nFDSize:");
  return size != NULL && atoi(size + strlen("\nFDSize:")) <= FEW;
}

/* The master is slow to listen: the application shall not wait for it. */
static bool has_room(void) {
  struct pollfd room = {channel_fd(), POLLOUT, 0};
  return real.poll(&room, 1, 0) == 1 && (room.revents & POLLOUT) != 0;
}

static bool is_little(const struct liveswap_frame* frame) {
  return frame->kind == LIVESWAP_ANSWER ||
         (frame->kind == LIVESWAP_COUNT && !descendants_may_be() && has_few_descriptors() && has_room());
}

bool control_serve_little(void) {
  struct liveswap_frame frame;
  ssize_t size = 0;
  while ((size = recv(channel_fd(), &frame, sizeof frame, MSG_PEEK | MSG_DONTWAIT)) == sizeof frame) {
    if (!is_little(&frame)) return false;
    serve_channel();
  }
  return size < 0 && errno == EAGAIN;
}

void control_wake(void) { eventfd_write(wake_fd, 1); }

void control_entered(void) { atomic_store(&entered, true); }
bool control_has_entered(void) { return atomic_load(&entered); }
