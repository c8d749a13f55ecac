/*
 * The listening sockets that the master holds for this worker: those lent at the start, and those that the
 * application has bound (interpose/bind.c). The kernel's cookie, which all duplicates share, identifies a
 * listener. Any thread, unless noted; nothing blocks.
 */
#ifndef LIVESWAP_WORKER_API_LISTENERS_H
#define LIVESWAP_WORKER_API_LISTENERS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

union address {
  struct sockaddr any;
  struct sockaddr_storage storage;
};

/*
 * One entry. Address and type never change while a cookie is set, and an entry is never removed, because
 * connections outlive their listener. An entry that the application has closed is reused for the same
 * address; a forgotten one for any address.
 */
struct listener {
  const char* name;         /* NULL: bound by the application */
  int fd;                   /* the descriptor when the entry was added */
  int type;                 /* SOCK_STREAM, SOCK_DGRAM … */
  _Atomic(uint64_t) cookie; /* SO_COOKIE; 0: forgotten */
  atomic_bool closed;
  atomic_bool expected; /* the application is expected to wait for connections on it */
  atomic_bool waited;   /* the application was seen waiting for connections */
  int64_t unseen_since; /* from here: control thread only (takeover/readiness_watch.c) */
  bool is_read;         /* a thread was seen receiving from it (UDP) */
  union address address;
  socklen_t address_size;
};

/* Adopts the lent listeners. `names` is separated by commas, modified, and stays borrowed. False: a
 * descriptor is missing, or too many names. */
bool listeners_adopt(char* names);

/* Adds a listener that the application has bound and the master holds from now on. False, with errno; EMFILE:
 * too many. */
bool listeners_add(int fd);

/* Whether there is room for one more listener, at any address. */
bool listeners_have_room(void);

/* The application has closed the last descriptor. */
void listeners_closed(const struct listener* listener);

/* The listener continues with another socket, bound to the same address. */
void listeners_renew(const struct listener* listener, uint64_t cookie);

/* The stream listener at that path (abstract names begin with @); NULL: none. */
const struct listener* listeners_at(const char* path);

/* Frees the entry for any address. Connections that came in by the entry are not found any more
 * (listeners_accepted), so call this only if there are none. */
void listeners_forget(const struct listener* listener);

/* For api/readiness.c: set `expected` or `waited`. Return whether that is new. */
bool listeners_expect(const struct listener* listener);
bool listeners_note_wait(const struct listener* listener);

/* Whether the application has a listener on which no wait was seen yet. */
bool listeners_expected(void);

/* For the control thread: when it first saw the listener without a wait (`now` at the first call), and
 * whether a thread was seen receiving from it. */
int64_t listeners_unseen_since(const struct listener* listener, int64_t now);
void listeners_note_read(const struct listener* listener);

/* The first lent listener; -1: none. */
int listeners_first(void);

/* The listener of which `fd` is a descriptor; NULL: none. One system call. Keeps errno. */
const struct listener* listeners_find(int fd);

/* The listener with that SO_COOKIE; NULL: none. */
const struct listener* listeners_with(uint64_t cookie);

/* Whether the application has bound a listener. */
bool listeners_bound(void);

/* The listener by which the connection `fd` came in; NULL: none. */
const struct listener* listeners_accepted(int fd);

/* The path of the n-th listener's file; NULL: no file, or no such listener. `*is_last`: there is none after
 * it. */
const char* listeners_file(int number, bool* is_last);

/* Whether a stream listener has that TCP port. */
bool listeners_have_port(uint16_t port);

/* The listener at `fd`, if its flags say that there is one; removes outdated flags. NULL: none. Keeps
 * errno. */
const struct listener* listeners_held(int fd);

/* From here on, listeners that the application binds are taken over by the master. For a worker, before the
 * application is loaded. */
void takeover_begin(void);
bool takeover_is_on(void);

#endif
