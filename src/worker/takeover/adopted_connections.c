#include "adopted_connections.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stddef.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "accept_waiters.h"
#include "contract/channel.h"
#include "early_connections.h"
#include "give_back.h"
#include "liveswap_plugin.h"
#include "replace_fd.h"
#include "socket_options.h"
#include "traffic.h"
#include "worker/base/clock.h"
#include "worker/base/fd_flags.h"
#include "worker/base/libc.h"
#include "worker/base/proc_self.h"
#include "worker/base/socket.h"
#include "worker/base/thread_interrupt.h"
#include "worker/link/channel.h"

enum {
  WAITING_MAX = 4096,
  NOTIFIERS_MAX = 2 * LIVESWAP_LISTENERS_MAX,
  /* A wait that began just before the eventfd was added misses a connection: interrupt waits at this
   * interval. */
  WAKE_EVERY_MS = 20,
  /* After this time connections go back to the master if the application accepts unseen, by io_uring or raw
   * calls. */
  WAIT_LIMIT_MS = 2000,
};

struct waiting {
  int fd;
  const struct listener* listener;
  int64_t since; /* when the predecessor gave the connection up, on clock_ms() */
  int64_t here_since;
  int32_t number; /* of a liveness check; 0: a connection of the predecessor */
};

/* The eventfd of a listener. Never closed, so that no thread polls a number that has been reused. */
struct notifier {
  _Atomic(const struct listener*) listener;
  int fd;
};

atomic_bool adopted_accepts;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct waiting queue[WAITING_MAX];
static int queued;
static struct notifier notifiers[NOTIFIERS_MAX];
static bool stopped;

static int notify_fd_of(const struct listener* listener) {
  for (int i = 0; i < NOTIFIERS_MAX && notifiers[i].listener != NULL; ++i)
    if (notifiers[i].listener == listener) return notifiers[i].fd;
  return -1;
}

/* Registers the eventfd wherever `fd` is registered. A thread that blocks in accept() does not poll the
 * eventfd, so the listener must not block. */
static void register_beside(int fd, void* context) {
  const struct notifier* notifier = context;
  if (listeners_find(fd) != notifier->listener) return;
  socket_end_blocking(fd);
  replace_fd_add_beside(fd, notifier->fd);
}

/* Makes the listener's eventfd. NULL: there is one already, or no room. */
static const struct notifier* make_notifier(const struct listener* listener) {
  int place = 0;
  while (place < NOTIFIERS_MAX && notifiers[place].listener != NULL && notifiers[place].listener != listener)
    ++place;
  if (place == NOTIFIERS_MAX || notifiers[place].listener == listener) return NULL;
  notifiers[place].fd = host_fd(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (notifiers[place].fd < 0) return NULL;
  notifiers[place].listener = listener;
  return &notifiers[place];
}

void adopted_listener(const struct listener* listener) {
  if (!adopted_has_begun()) return;
  pthread_mutex_lock(&lock);
  const struct notifier* made = make_notifier(listener);
  pthread_mutex_unlock(&lock);
  if (made != NULL) proc_self_each_descriptor(register_beside, (void*)made);
}

/* For a connection that is not accepted here. */
static void dispose(uint64_t cookie, struct waiting one) {
  if (one.number == 0) give_back(cookie, one.fd, one.since);
  else libc.close(one.fd);
}

void adopted_refuse_check(int32_t number, enum liveswap_refusal why) {
  channel_send((struct liveswap_frame){.kind = LIVESWAP_REFUSED, .value = number, .count = why}, NULL, 0);
}

static void enqueue(const struct listener* listener, struct waiting one) {
  pthread_mutex_lock(&lock);
  const int notify_fd = notify_fd_of(listener);
  const bool room = queued < WAITING_MAX && notify_fd >= 0;
  if (room) {
    one.fd = host_fd(one.fd);
    one.listener = listener;
    one.here_since = clock_ms();
    queue[queued++] = one;
    slow_path_add(SLOW_ADOPTABLE);
    eventfd_write(notify_fd, 1);
  }
  pthread_mutex_unlock(&lock);
  if (room) return;
  dispose(listener->cookie, one);
  if (one.number != 0) adopted_refuse_check(one.number, LIVESWAP_REFUSAL_NO_ROOM);
}

static void put(const struct listener* listener, struct waiting one) {
  /* The first connection at this listener: threads already wait without the eventfd and must be
   * interrupted. */
  const bool is_first = notify_fd_of(listener) < 0;
  if (is_first) {
    adopted_begin();
    adopted_listener(listener);
  }
  enqueue(listener, one);
  if (!is_first) return;
  interrupt_waiting_threads();
  accept_waiters_wake_flagged(FLAG_HELD);
}

void adopted_put_since(uint64_t cookie, int connection, int64_t since) {
  const struct listener* listener = listeners_with(cookie);
  if (stopped) give_back(cookie, connection, since);
  else if (listener == NULL) early_put(cookie, connection, since);
  else put(listener, (struct waiting){.fd = connection, .since = since});
}

void adopted_put_check(uint64_t cookie, int connection, int32_t number) {
  const struct listener* listener = listeners_with(cookie);
  if (!stopped && listener != NULL) {
    put(listener, (struct waiting){.fd = connection, .number = number});
    return;
  }
  libc.close(connection);
  if (!stopped) adopted_refuse_check(number, LIVESWAP_REFUSAL_NOT_HELD);
}

void adopted_put(uint64_t cookie, int connection, int64_t waited_ms) {
  adopted_put_since(cookie, connection, clock_ms() - waited_ms);
}

/* The index of the oldest connection of `listener`; -1: none. The caller has the lock. */
static int find(const struct listener* listener) {
  for (int i = 0; i < queued; ++i)
    if (queue[i].listener == listener) return i;
  return -1;
}

static struct waiting remove_at(int place) {
  const struct waiting found = queue[place];
  --queued;
  memmove(&queue[place], &queue[place + 1], (size_t)(queued - place) * sizeof queue[0]);
  if (queued == 0) slow_path_remove(SLOW_ADOPTABLE);
  fd_flags_set(found.fd, 0);
  eventfd_t unused;
  if (find(found.listener) < 0) eventfd_read(notify_fd_of(found.listener), &unused);
  return found;
}

/* Takes the oldest connection, of `listener` unless that is NULL, if it is here since `until` or earlier. fd
 * -1: none. */
static struct waiting take(const struct listener* listener, int64_t until) {
  pthread_mutex_lock(&lock);
  const int place = listener != NULL ? find(listener) : 0;
  const bool none = place < 0 || queued == 0 || queue[place].here_since > until;
  const struct waiting found = none ? (struct waiting){.fd = -1} : remove_at(place);
  pthread_mutex_unlock(&lock);
  return found;
}

static void warn_unseen_accepts(void) {
  static bool warned;
  if (warned) return;
  warned = true;
  liveswap_log(LIVESWAP_WARNING,
               "connections of the predecessor go back to the master: the application does not accept them "
               "(--keepalive migrate does not work with io_uring or raw system calls)");
}

int64_t adopted_step(void) {
  const int64_t now = clock_ms();
  const int64_t early_due = early_step(now);
  if (!adopted_is_waiting()) return early_due;
  const bool is_unseen = !atomic_load(&adopted_accepts);
  for (struct waiting late; is_unseen && (late = take(NULL, now - WAIT_LIMIT_MS)).fd >= 0;) {
    if (late.number == 0) warn_unseen_accepts();
    else adopted_refuse_check(late.number, LIVESWAP_REFUSAL_UNSEEN);
    dispose(late.listener->cookie, late);
  }
  if (!adopted_is_waiting()) return early_due;
  interrupt_waiting_threads();
  return early_due >= 0 ? early_due : now + WAKE_EVERY_MS;
}

static void give_back_all(const struct listener* listener) {
  for (;;) {
    const struct waiting one = take(listener, INT64_MAX);
    if (one.fd < 0) return;
    dispose(one.listener->cookie, one);
  }
}

void adopted_stop(void) {
  stopped = true;
  early_step(INT64_MAX);
  give_back_all(NULL);
}

/* The listener's entry may be reused for another listener, which needs an eventfd of its own. */
void adopted_forget(const struct listener* listener) {
  static const struct listener nobody;
  if (adopted_is_waiting()) give_back_all(listener);
  pthread_mutex_lock(&lock);
  for (int i = 0; i < NOTIFIERS_MAX; ++i)
    if (notifiers[i].listener == listener) notifiers[i].listener = &nobody;
  pthread_mutex_unlock(&lock);
}

/* Per thread, valid until some descriptor flag changes: saves a system call at each wait. */
struct known_notify_fd {
  int fd;
  unsigned changes;
  int notify_fd;
};

int adopted_fd(int fd) {
  enum { KNOWN = 8 };
  static __thread struct known_notify_fd known[KNOWN];
  if (!adopted_has_begun()) return -1;
  struct known_notify_fd* const place = &known[(unsigned)fd % KNOWN];
  const unsigned changes = atomic_load(&fd_flags_changes);
  if (place->fd != fd || place->changes != changes) {
    const struct listener* listener = listeners_held(fd);
    *place = (struct known_notify_fd){fd, changes, listener != NULL ? notify_fd_of(listener) : -1};
  }
  return place->notify_fd;
}

bool adopted_has_one(int fd) {
  const struct listener* listener = listeners_held(fd);
  if (listener == NULL) return false;
  pthread_mutex_lock(&lock);
  const bool found = find(listener) >= 0;
  pthread_mutex_unlock(&lock);
  return found;
}

/* Resets what the predecessor has set on the connection, to what accept() would give. */
static void reset_options(int connection, int listener, int flags) {
  const int off = 0;
  const int status = libc.fcntl(connection, F_GETFL);
  const bool nonblocking = flags > 0 && (flags & SOCK_NONBLOCK) != 0;
  const bool close_on_exec = flags > 0 && (flags & SOCK_CLOEXEC) != 0;
  libc.fcntl(connection, F_SETFL, nonblocking ? status | O_NONBLOCK : status & ~O_NONBLOCK);
  libc.fcntl(connection, F_SETFD, close_on_exec ? FD_CLOEXEC : 0);
  socket_options_copy(listener, connection);
  setsockopt(connection, IPPROTO_TCP, TCP_CORK, &off, sizeof off);
}

/* Without this frame the worker would count as hung, so it waits for room in the channel. */
static void note_taken(int32_t number) {
  channel_send((struct liveswap_frame){.kind = LIVESWAP_TAKEN, .value = number}, NULL, 0);
}

int adopted_accept(int fd, struct sockaddr* address, socklen_t* size, int flags) {
  const int before = errno;
  const struct listener* listener = listeners_held(fd);
  union address peer;
  socklen_t peer_size = sizeof peer;
  struct waiting found = {.fd = -1};
  /* Without a peer the client has left meanwhile. */
  while (listener != NULL && (found = take(listener, INT64_MAX)).fd >= 0 &&
         getpeername(found.fd, &peer.any, &peer_size) != 0) {
    libc.close(found.fd);
    peer_size = sizeof peer;
  }
  if (found.fd >= 0) {
    reset_options(found.fd, fd, flags);
    traffic_adopted(found.fd);
    if (found.number != 0) note_taken(found.number);
    if (address != NULL && size != NULL) {
      memcpy(address, &peer, *size < peer_size ? *size : peer_size);
      *size = peer_size;
    }
  }
  errno = before;
  return found.fd;
}

void adopted_mirror(int epoll, int operation, int fd, struct epoll_event* event) {
  const int notify_fd = adopted_fd(fd);
  if (notify_fd < 0) return;
  const int before = errno;
  libc.epoll_ctl(epoll, operation, notify_fd, event);
  errno = before;
}
