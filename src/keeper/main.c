/*
 * liveswap-keeper holds the listening sockets, channels and state of a master, and does nothing else. If the
 * master is killed, the next one gets them here (docs/explanation/killed-master.md).
 *
 *   liveswap-keeper STATE_DIR
 *
 *   kept      the master is there, and sends a new state after each change
 *   orphaned  the master was killed: a new master may come, until the orphan wait has passed
 *   left      the wait has passed, or the master, a client or SIGTERM has said so: the process exits. That
 *             closes the channels of the workers, which then drain and leave
 *
 * Exit status 0 as soon as the socket exists: the process itself goes on in the background, so that it is no
 * child of the master.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "keeper/held.h"
#include "keeper/output.h"
#include "keeper/place.h"

enum { FIRST_FRAME_MS = 1000, POLLS_MAX = 4096 };

static int link_fd = LIVESWAP_KEEPER_LINK;
static int64_t orphaned_at;
static volatile sig_atomic_t told_to_leave;
static struct packet packet;

static void on_term(int number) {
  (void)number;
  told_to_leave = 1;
}

static int64_t clock_ms(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (int64_t)time.tv_sec * 1000 + time.tv_nsec / 1000000;
}

static _Noreturn void leave(void) {
  place_remove();
  _exit(0);
}

/* -1: without a limit. */
static int64_t left_ms(void) {
  if (held_wait_ms() < 0) return -1;
  const int64_t left = orphaned_at + held_wait_ms() - clock_ms();
  return left > 0 ? left : 0;
}

static void lose_master(void) {
  close(link_fd);
  link_fd = -1;
  held_drop_incomplete();
  if (!held_any()) leave();
  orphaned_at = clock_ms();
}

static void serve_master(void) {
  for (;;) {
    switch (link_receive(link_fd, &packet)) {
      case NOTHING: return;
      case GONE: lose_master(); return;
      case RECEIVED: break;
    }
    if (packet.frame.kind == LIVESWAP_KEEPER_END) leave();
    if (packet.frame.kind == LIVESWAP_KEEPER_DESCRIPTORS || packet.frame.kind == LIVESWAP_KEEPER_STATE) {
      const struct liveswap_keeper_frame refused = {.kind = LIVESWAP_KEEPER_REFUSED};
      if (!held_take(&packet)) link_send(link_fd, refused, NULL, 0, NULL, 0);
      continue;
    }
    for (size_t i = 0; i < packet.fd_count; ++i) close(packet.fds[i]);
  }
}

static bool first_frame(int guest) {
  struct pollfd frame = {guest, POLLIN, 0};
  if (poll(&frame, 1, FIRST_FRAME_MS) != 1 || link_receive(guest, &packet) != RECEIVED) return false;
  for (size_t i = 0; i < packet.fd_count; ++i) close(packet.fds[i]);
  return true;
}

/* The next master has the instance's lock, so the former one has ended: its connection ends in this moment.
 */
static void await_end_of_master(void) {
  const int64_t until = clock_ms() + FIRST_FRAME_MS;
  for (int64_t left = FIRST_FRAME_MS; link_fd >= 0 && left > 0; left = until - clock_ms()) {
    struct pollfd end = {link_fd, POLLIN, 0};
    poll(&end, 1, (int)left);
    serve_master();
  }
}

/* While there is a master, only the next one gets an answer. */
static void serve_guest(void) {
  const struct liveswap_keeper_frame end = {.kind = LIVESWAP_KEEPER_END};
  const int guest = place_accept();
  if (guest < 0) return;
  const uint32_t kind = first_frame(guest) ? packet.frame.kind : 0;
  if (kind == LIVESWAP_KEEPER_ADOPT) await_end_of_master();
  else if (link_fd >= 0) serve_master();
  if (link_fd < 0) {
    switch (kind) {
      case LIVESWAP_KEEPER_ADOPT:
        if (!held_send(guest, true, left_ms())) break;
        link_fd = guest;
        return;
      case LIVESWAP_KEEPER_LOOK: held_send(guest, false, left_ms()); break;
      case LIVESWAP_KEEPER_LEAVE: link_send(guest, end, NULL, 0, NULL, 0); leave();
      default: break;
    }
  }
  close(guest);
}

static struct timespec in_ms(int64_t ms) {
  return (struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
}

static void wait_for_master(const sigset_t* mask) {
  struct pollfd polls[] = {{link_fd, POLLIN, 0}, {place_socket(), POLLIN, 0}};
  if (ppoll(polls, 2, NULL, mask) > 0) {
    if (polls[0].revents != 0) serve_master();
    if (polls[1].revents != 0) serve_guest();
  }
  told_to_leave = 0; /* the master decides */
}

static void wait_for_guest(const sigset_t* mask) {
  static struct pollfd polls[POLLS_MAX];
  int pause_ms = -1;
  if (told_to_leave) leave();
  int64_t wait = left_ms();
  if (wait == 0) leave();
  polls[0] = (struct pollfd){place_socket(), POLLIN, 0};
  const size_t count = output_polls(polls + 1, POLLS_MAX - 1, &pause_ms);
  if (pause_ms >= 0 && (wait < 0 || pause_ms < wait)) wait = pause_ms;
  const struct timespec time = in_ms(wait);
  if (ppoll(polls, count + 1, wait < 0 ? NULL : &time, mask) <= 0) return;
  output_pass_on(polls + 1, count);
  if (polls[0].revents != 0) serve_guest();
}

static void raise_limit(void) {
  struct rlimit files;
  if (getrlimit(RLIMIT_NOFILE, &files) != 0) return;
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
}

static int begin(const char* state_dir) {
  if (!place_open(state_dir)) {
    fprintf(stderr, "liveswap-keeper: cannot make the socket %s in %s: %s\n", LIVESWAP_KEEPER_SOCKET,
            state_dir, strerror(errno));
    return 1;
  }
  const pid_t child = fork();
  if (child < 0) fprintf(stderr, "liveswap-keeper: cannot fork: %s\n", strerror(errno));
  if (child != 0) return child < 0 ? 1 : 0;
  setsid();
  return -1;
}

int main(int argc, char** argv) {
  int type = 0;
  socklen_t size = sizeof type;
  if (argc != 2 || getsockopt(LIVESWAP_KEEPER_LINK, SOL_SOCKET, SO_TYPE, &type, &size) != 0 ||
      type != SOCK_SEQPACKET) {
    fputs("liveswap-keeper is started by the master: `liveswap start`\n", stderr);
    return 2;
  }
  raise_limit();
  const int status = begin(argv[1]);
  if (status >= 0) return status;
  sigset_t blocked, mask;
  sigemptyset(&blocked);
  sigaddset(&blocked, SIGTERM);
  sigprocmask(SIG_BLOCK, &blocked, &mask);
  const struct sigaction term = {.sa_handler = on_term};
  sigaction(SIGTERM, &term, NULL);
  static const int stray[] = {SIGPIPE, SIGHUP, SIGINT,    SIGQUIT, SIGUSR1, SIGUSR2, SIGALRM,
                              SIGPOLL, SIGPWR, SIGSTKFLT, SIGPROF, SIGXCPU, SIGXFSZ, SIGVTALRM};
  for (size_t i = 0; i < sizeof stray / sizeof stray[0]; ++i) signal(stray[i], SIG_IGN);
  for (;;) {
    if (link_fd >= 0) wait_for_master(&mask);
    else wait_for_guest(&mask);
  }
}
