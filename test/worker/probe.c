/*
 * An application by remote control: it obeys the messages that it gets and answers each with one line of log,
 * so that a test can call any function of the contract inside a worker.
 */
#include <errno.h>
#include <fcntl.h>
#include <liveswap_plugin.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static int result = -1; /* what liveswap_main shall return; -1: go on */
static size_t capacity = 65536;
static int epoll_fd = -1;

__attribute__((format(printf, 1, 2))) static void reply(const char* format, ...) {
  char text[512];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  liveswap_log(LIVESWAP_INFO, text);
}

static const char* error_name(int number) {
  switch (number) {
    case EAGAIN: return "EAGAIN";
    case EBADF: return "EBADF";
    case EINVAL: return "EINVAL";
    case EMSGSIZE: return "EMSGSIZE";
    case ENOENT: return "ENOENT";
    case ENOTSOCK: return "ENOTSOCK";
    default: return "other";
  }
}

static void reply_result(int value) {
  if (value >= 0) {
    reply("%d", value);
  } else {
    reply("-1 %s", error_name(errno));
  }
}

__attribute__((constructor)) static void construct(void) {
  const char* what = getenv("PROBE_CONSTRUCTOR");
  if (what == NULL) return;
  if (strcmp(what, "ready") == 0) liveswap_ready();
  if (strcmp(what, "defer") == 0) liveswap_defer_ready();
  if (strcmp(what, "wait") == 0) {
    for (;;) pause();
  }
}

__attribute__((destructor)) static void destruct(void) { liveswap_log(LIVESWAP_INFO, "destructor"); }

static void* release_later(void* unused) {
  liveswap_release();
  return unused;
}

static void flags_of_descriptors(void) {
  char open_ones[256] = "";
  for (int fd = 3; fd < 64; ++fd) {
    const int flags = fcntl(fd, F_GETFD);
    const size_t size = strlen(open_ones);
    if (flags >= 0 && (flags & FD_CLOEXEC) == 0)
      snprintf(open_ones + size, sizeof open_ones - size, " %d", fd);
  }
  reply("without close-on-exec:%s", open_ones);
}

static void watch_listener(int listener) {
  struct epoll_event event = {.events = EPOLLIN, .data.u64 = 0xfeedface12345678u};
  epoll_fd = epoll_create1(EPOLL_CLOEXEC);
  reply_result(epoll_ctl(epoll_fd, EPOLL_CTL_ADD, listener, &event));
}

static void child_speaks(void) {
  const pid_t child = fork();
  if (child == 0) {
    liveswap_log(LIVESWAP_INFO, "from a child");
    _exit(0);
  }
  waitpid(child, NULL, 0);
  reply("child has gone");
}

static void write_big(int fd, long size) {
  char block[4096];
  memset(block, 'x', sizeof block);
  while (size > 0) {
    const ssize_t sent = send(fd, block, size < 4096 ? (size_t)size : sizeof block, MSG_NOSIGNAL);
    if (sent <= 0) break;
    size -= sent;
  }
  reply("%ld left", size);
}

static void log_many(long count, long size) {
  static char text[8193];
  memset(text, 'l', sizeof text - 1);
  text[size] = '\0';
  for (long i = 0; i < count; ++i) liveswap_log(LIVESWAP_DEBUG, text);
}

static void obey_who(void) {
  reply("slot %d generation %llu argc %d argv[1] %s end %d", liveswap_slot(),
        (unsigned long long)liveswap_generation(), liveswap_argc(), liveswap_argv()[1],
        liveswap_argv()[liveswap_argc()] == NULL);
}

static void obey(int listener, const char* line) {
  char word[32] = "";
  char name[64] = "";
  long one = 0;
  long two = 0;
  sscanf(line, "%31s %63s", word, name);
  sscanf(line, "%*s %ld %ld", &one, &two);
  if (strcmp(word, "listener") == 0) reply_result(liveswap_listener(name[0] != '\0' ? name : NULL));
  else if (strcmp(word, "first") == 0) reply("%d", listener);
  else if (strcmp(word, "who") == 0) obey_who();
  else if (strcmp(word, "ready") == 0) liveswap_ready();
  else if (strcmp(word, "defer") == 0) liveswap_defer_ready();
  else if (strcmp(word, "draining") == 0) reply("%d", liveswap_draining());
  else if (strcmp(word, "left") == 0) reply("%ld", liveswap_drain_left_ms());
  else if (strcmp(word, "drain-readable") == 0)
    reply("%d", poll(&(struct pollfd){liveswap_drain_fd(), POLLIN, 0}, 1, 0));
  else if (strcmp(word, "hold") == 0) liveswap_hold();
  else if (strcmp(word, "release") == 0) liveswap_release();
  else if (strcmp(word, "served") == 0)
    for (long i = 0; i < one; ++i) liveswap_served(i < two);
  else if (strcmp(word, "return") == 0) result = (int)one;
  else if (strcmp(word, "return-then-release") == 0) {
    pthread_t thread;
    pthread_create(&thread, NULL, release_later, NULL);
    pthread_detach(thread);
    result = (int)one;
  } else if (strcmp(word, "capacity") == 0) capacity = (size_t)one;
  else if (strcmp(word, "null-message") == 0) reply_result((int)liveswap_message(NULL, 5));
  else if (strcmp(word, "accept") == 0) reply_result(accept4(listener, NULL, NULL, SOCK_CLOEXEC));
  else if (strcmp(word, "write") == 0) write_big((int)one, two);
  else if (strcmp(word, "linger") == 0) reply_result(liveswap_close_lingering((int)one));
  else if (strcmp(word, "idle") == 0) reply_result(liveswap_close_idle((int)one, two));
  else if (strcmp(word, "flags") == 0) flags_of_descriptors();
  else if (strcmp(word, "watch") == 0) watch_listener(listener);
  else if (strcmp(word, "events") == 0) {
    struct epoll_event event = {0};
    reply("%d", epoll_wait(epoll_fd, &event, 1, 0));
  } else if (strcmp(word, "fork") == 0) child_speaks();
  else if (strcmp(word, "log") == 0) log_many(one, two);
  else if (strcmp(word, "sleep") == 0) nanosleep(&(struct timespec){one, 0}, NULL);
  else if (strcmp(word, "pause") == 0) pause();
  else reply("unknown: %s", word);
}

int liveswap_main(int fd) {
  static char message[65536];
  (void)liveswap_draining(); /* it drains by itself: nothing is taken from it */
  while (result < 0) {
    poll(&(struct pollfd){liveswap_message_fd(), POLLIN, 0}, 1, -1);
    const ssize_t size = liveswap_message(message, capacity);
    if (size < 0) {
      reply("-1 %s", error_name(errno));
      capacity = 65536;
    } else if (size > 100) {
      reply("%zd bytes", size);
    } else if (size > 0) {
      obey(fd, message);
    }
  }
  return result;
}
