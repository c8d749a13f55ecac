#include "listeners.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>
#include <sys/un.h>

#include "contract/channel.h"
#include "liveswap_plugin.h"
#include "readiness.h"
#include "worker/base/fd_flags.h"
#include "worker/base/libc.h"
#include "worker/base/socket.h"
#include "worker/link/channel.h"

/* Lent listeners, and as many that the application may bind. */
enum { LISTENERS_MAX = 2 * LIVESWAP_LISTENERS_MAX };

/* Any thread reads the entries below listener_count without a lock. The count grows after an entry is
 * complete. */
static struct listener listeners[LISTENERS_MAX];
static atomic_int listener_count;
static int lent_count;
static pthread_mutex_t changing = PTHREAD_MUTEX_INITIALIZER;

/* The writable entry of a listener that a function here has returned. */
static struct listener* own(const struct listener* listener) { return &listeners[listener - listeners]; }

static int count(void) { return atomic_load_explicit(&listener_count, memory_order_acquire); }

static bool describe(struct listener* listener, int fd, const char* name) {
  socklen_t size = sizeof listener->type;
  listener->name = name;
  listener->fd = fd;
  listener->address_size = sizeof listener->address;
  if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &listener->type, &size) != 0 ||
      getsockname(fd, &listener->address.any, &listener->address_size) != 0) {
    return false;
  }
  /* For a listener that the application has bound, interpose/bind.c sets the blocking mode. */
  if (name != NULL) socket_end_blocking(fd);
  return true;
}

/* Stores the cookie last: a thread that finds the cookie reads the other fields. */
static bool set_cookie(struct listener* listener) {
  uint64_t cookie = 0;
  if (!socket_cookie(listener->fd, &cookie)) return false;
  atomic_store(&listener->closed, false);
  atomic_store(&listener->expected, false);
  atomic_store(&listener->waited, false);
  listener->unseen_since = 0;
  listener->is_read = false;
  atomic_store(&listener->cookie, cookie);
  return true;
}

static bool adopt(int fd, const char* name) {
  if (lent_count == LIVESWAP_LISTENERS_MAX || !describe(&listeners[lent_count], fd, name) ||
      !set_cookie(&listeners[lent_count])) {
    return false;
  }
  libc.fcntl(fd, F_SETFD, FD_CLOEXEC);
  fd_flags_set(fd, FLAG_HELD);
  atomic_store(&listener_count, ++lent_count);
  return true;
}

bool listeners_adopt(char* names) {
  if (*names == '\0') return true;
  for (char* name = names; name != NULL;) {
    char* comma = strchr(name, ',');
    if (comma != NULL) *comma = '\0';
    if (!adopt(LIVESWAP_FD_LISTENERS + lent_count, name)) return false;
    name = comma != NULL ? comma + 1 : NULL;
  }
  return true;
}

static bool is_same(const struct listener* one, const struct listener* other) {
  return one->type == other->type && one->address_size == other->address_size &&
         memcmp(&one->address, &other->address, one->address_size) == 0;
}

/* A free entry for `wanted`, or for any listener if that is NULL; NULL: the table is full. The caller has the
 * lock. */
static struct listener* place_for(const struct listener* wanted) {
  for (int i = lent_count; i < count(); ++i) {
    struct listener* const each = &listeners[i];
    if (atomic_load(&each->cookie) == 0) return each;
    if (wanted != NULL && atomic_load(&each->closed) && is_same(each, wanted)) return each;
  }
  return count() < LISTENERS_MAX ? &listeners[count()] : NULL;
}

/* A closed entry keeps its address, which other threads may be reading. */
static bool add_at(struct listener* place, const struct listener* wanted) {
  if (place == NULL) {
    errno = EMFILE;
    return false;
  }
  if (atomic_load(&place->cookie) == 0) {
    place->name = NULL;
    place->type = wanted->type;
    place->address = wanted->address;
    place->address_size = wanted->address_size;
  }
  place->fd = wanted->fd;
  if (!set_cookie(place)) return false;
  if (place == &listeners[count()]) atomic_store_explicit(&listener_count, count() + 1, memory_order_release);
  return true;
}

/* The application binds a listener again that it had closed. */
static void reopen(struct listener* listener) {
  if (!atomic_exchange(&listener->closed, false)) return;
  atomic_store(&listener->expected, false);
  atomic_store(&listener->waited, false);
}

bool listeners_add(int fd) {
  struct listener wanted = {0};
  const struct listener* known = listeners_find(fd);
  if (known != NULL) {
    reopen(own(known));
    return true;
  }
  if (!describe(&wanted, fd, NULL)) return false;
  pthread_mutex_lock(&changing);
  const bool done = add_at(place_for(&wanted), &wanted);
  pthread_mutex_unlock(&changing);
  return done;
}

bool listeners_have_room(void) {
  pthread_mutex_lock(&changing);
  const bool room = place_for(NULL) != NULL;
  pthread_mutex_unlock(&changing);
  return room;
}

void listeners_closed(const struct listener* listener) { atomic_store(&own(listener)->closed, true); }

void listeners_forget(const struct listener* listener) { atomic_store(&own(listener)->cookie, 0); }

void listeners_renew(const struct listener* listener, uint64_t cookie) {
  atomic_store(&own(listener)->cookie, cookie);
}
bool listeners_expect(const struct listener* listener) {
  return listener != NULL && !atomic_load(&listener->waited) &&
         !atomic_exchange(&own(listener)->expected, true);
}

bool listeners_note_wait(const struct listener* listener) {
  return !atomic_exchange(&own(listener)->waited, true);
}

bool listeners_expected(void) {
  for (int i = 0; i < count(); ++i) {
    const struct listener* const each = &listeners[i];
    if (each->cookie != 0 && each->expected && !each->waited && !each->closed) return true;
  }
  return false;
}

int64_t listeners_unseen_since(const struct listener* listener, int64_t now) {
  if (listener->unseen_since == 0) own(listener)->unseen_since = now;
  return listener->unseen_since;
}

void listeners_note_read(const struct listener* listener) { own(listener)->is_read = true; }

int listeners_first(void) { return lent_count > 0 ? listeners[0].fd : -1; }

bool listeners_bound(void) { return count() > lent_count; }

const struct listener* listeners_with(uint64_t cookie) {
  for (int i = 0; i < count(); ++i)
    if (cookie != 0 && atomic_load_explicit(&listeners[i].cookie, memory_order_acquire) == cookie)
      return &listeners[i];
  return NULL;
}

const struct listener* listeners_find(int fd) {
  const int before = errno;
  uint64_t cookie = 0;
  const struct listener* found = socket_cookie(fd, &cookie) ? listeners_with(cookie) : NULL;
  errno = before;
  return found;
}

/* The port in network byte order; -1 for a family without ports. */
static int port_of(const union address* address) {
  switch (address->any.sa_family) {
    case AF_INET: return ((const struct sockaddr_in*)address)->sin_port;
    case AF_INET6: return ((const struct sockaddr_in6*)address)->sin6_port;
    default: return -1;
  }
}

/* NULL: no Internet address. */
static const void* host_of(const union address* address, size_t* size) {
  *size = address->any.sa_family == AF_INET ? sizeof(struct in_addr) : sizeof(struct in6_addr);
  switch (address->any.sa_family) {
    case AF_INET: return &((const struct sockaddr_in*)address)->sin_addr;
    case AF_INET6: return &((const struct sockaddr_in6*)address)->sin6_addr;
    default: return NULL;
  }
}

/* How well a listener's address fits the local address of a connection. */
enum fit { FIT_NONE, FIT_PORT, FIT_WILDCARD, FIT_EXACT };

static enum fit fit_of_host(const struct listener* listener, const union address* address) {
  static const struct in6_addr wildcard;
  size_t size = 0;
  const void* const bound = host_of(&listener->address, &size);
  const void* const host = host_of(address, &size);
  /* The connection may have been forwarded to another address. */
  if (listener->address.any.sa_family != address->any.sa_family) return FIT_PORT;
  if (memcmp(bound, host, size) == 0) return FIT_EXACT;
  return memcmp(bound, &wildcard, size) == 0 ? FIT_WILDCARD : FIT_PORT;
}

static enum fit fit_of(const struct listener* listener, const union address* address, socklen_t size) {
  const int port = port_of(address);
  if (port >= 0) return port == port_of(&listener->address) ? fit_of_host(listener, address) : FIT_NONE;
  const bool is_same = address->any.sa_family == AF_UNIX && size > sizeof(sa_family_t) &&
                       size == listener->address_size && memcmp(address, &listener->address, size) == 0;
  return is_same ? FIT_EXACT : FIT_NONE;
}

static bool is_stream(const struct listener* listener) {
  return atomic_load(&listener->cookie) != 0 && listener->type != SOCK_DGRAM;
}

const struct listener* listeners_accepted(int fd) {
  union address local;
  union address peer;
  socklen_t size = sizeof local;
  socklen_t peer_size = sizeof peer;
  if (getsockname(fd, &local.any, &size) != 0) return NULL;
  const struct listener* best = NULL;
  enum fit best_fit = FIT_NONE;
  for (int i = 0; i < count() && best_fit != FIT_EXACT; ++i) {
    const enum fit fit = is_stream(&listeners[i]) ? fit_of(&listeners[i], &local, size) : FIT_NONE;
    if (fit <= best_fit) continue;
    best = &listeners[i];
    best_fit = fit;
  }
  return best != NULL && getpeername(fd, &peer.any, &peer_size) == 0 ? best : NULL;
}

bool listeners_have_port(uint16_t port) {
  for (int i = 0; i < count(); ++i)
    if (is_stream(&listeners[i]) && port_of(&listeners[i].address) == htons(port)) return true;
  return false;
}

/* Compares with `path` as /proc/net/unix shows it. */
static bool has_path(const struct listener* listener, const char* path) {
  const struct sockaddr_un* const bound = (const struct sockaddr_un*)&listener->address;
  const size_t before = offsetof(struct sockaddr_un, sun_path);
  if (listener->address.any.sa_family != AF_UNIX || listener->address_size <= before) return false;
  const size_t size = listener->address_size - before;
  if (bound->sun_path[0] == '\0')
    return path[0] == '@' && strlen(path) == size && memcmp(path + 1, bound->sun_path + 1, size - 1) == 0;
  return strncmp(path, bound->sun_path, size) == 0 && strlen(path) <= size;
}

const struct listener* listeners_at(const char* path) {
  for (int i = 0; i < count(); ++i)
    if (is_stream(&listeners[i]) && has_path(&listeners[i], path)) return &listeners[i];
  return NULL;
}

const char* listeners_file(int number, bool* is_last) {
  *is_last = number + 1 >= count();
  if (number >= count() || atomic_load(&listeners[number].cookie) == 0) return NULL;
  const struct listener* const listener = &listeners[number];
  const struct sockaddr_un* const bound = (const struct sockaddr_un*)&listener->address;
  const bool is_file = listener->address.any.sa_family == AF_UNIX && bound->sun_path[0] == '/';
  return is_file ? bound->sun_path : NULL;
}

int liveswap_listener(const char* name) {
  for (int i = 0; name != NULL && i < lent_count; ++i) {
    if (strcmp(listeners[i].name, name) != 0) continue;
    readiness_expect(&listeners[i]);
    return listeners[i].fd;
  }
  errno = name == NULL ? EINVAL : ENOENT;
  return -1;
}

const struct listener* listeners_held(int fd) {
  if ((fd_flags(fd) & FLAG_HELD) == 0) return NULL;
  const struct listener* found = listeners_find(fd);
  if (found == NULL) fd_flags_set(fd, 0);
  return found;
}

static atomic_bool taking_over;

void takeover_begin(void) { atomic_store(&taking_over, true); }

/* A forked child has no channel and manages its listeners itself. */
bool takeover_is_on(void) { return atomic_load(&taking_over) && channel_fd() >= 0; }
