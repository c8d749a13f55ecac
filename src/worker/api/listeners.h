/*
 * The listening sockets that the master holds for this worker: those it has lent at the start, and those that
 * the application has bound itself (interpose/bind.c). Known by the kernel's cookie, so that every duplicate
 * is.
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
 * Written once, then only read, and never removed, since its connections outlive it. An entry that the
 * application has closed is used again for the same address; one that was forgotten, for any.
 */
struct listener {
  const char* name;        /* NULL: bound by the application */
  int fd;                  /* when it was added */
  int type;                /* SOCK_STREAM, SOCK_DGRAM … */
  _Atomic uint64_t cookie; /* the kernel's name for the socket, the same for every duplicate; 0: forgotten */
  atomic_bool closed;
  atomic_bool expected; /* the application has it, to accept from it */
  atomic_bool waited;   /* and has been seen to wait for it */
  int64_t unseen_since; /* these two are the control thread's (api/readiness.c) */
  bool is_read;
  union address address;
  socklen_t address_size;
};

/* `names`: parted by commas, kept and written to. False when a descriptor is missing or there are too many
 * names. */
bool listeners_adopt(char* names);

/* Adds one that the application has bound and the master holds from now on; an EMFILE when there are too
 * many. */
bool listeners_add(int fd);

/* Whether there is room for one more, at any address. */
bool listeners_have_room(void);

/* The application has closed it for good. */
void listeners_closed(const struct listener* listener);

/* The same listener is another socket from now on, bound to the same address. */
void listeners_renew(const struct listener* listener, uint64_t cookie);

/* The one that is bound to that path; NULL: none. */
const struct listener* listeners_at(const char* path);

/* It was none after all, and no connection has come in by it. */
void listeners_forget(const struct listener* listener);

/* For api/readiness.c. Whether this is news. */
bool listeners_expect(const struct listener* listener);
bool listeners_note_wait(const struct listener* listener);

/* Whether one is expected to be waited for, and has not been. */
bool listeners_expected(void);
bool listeners_is_waited(const struct listener* listener);

/* For the control thread: since when it has looked at a listener that nobody waits for, `now` at first; and
 * whether a thread has been seen to receive from it. */
int64_t listeners_unseen_since(const struct listener* listener, int64_t now);
void listeners_note_read(const struct listener* listener);
bool listeners_is_read(const struct listener* listener);

/* -1 when there is none. */
int listeners_first(void);

/* The listener that `fd` is, or is a duplicate of; NULL: none. Keeps errno. */
const struct listener* listeners_find(int fd);

/* By SO_COOKIE; NULL: none. */
const struct listener* listeners_with(uint64_t cookie);

/* Whether the application has bound any itself. */
bool listeners_bound(void);

/* The listener by which `fd`, a connection, came in; NULL: none. */
const struct listener* listeners_accepted(int fd);

/* The file of the n-th listener; NULL: it has none, or its number is beyond the last (`*is_last`). With a NUL
 * at its end. */
const char* listeners_file(int number, bool* is_last);

/* Whether a listener for streams is bound to that port of TCP, or to that path (one of the abstract namespace
 * begins with @). */
bool listeners_have_port(uint16_t port);
bool listeners_have_path(const char* path);

/* The listener at `fd`, going by its marks; a mark that is out of date is removed. NULL: none. */
const struct listener* listeners_held(int fd);

/* From here on listeners are taken over. For a worker, before the application is loaded. */
void takeover_begin(void);
bool takeover_is_on(void);

#endif
