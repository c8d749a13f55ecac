/*
 * liveswap_plugin.h: the contract between liveswap and an application.
 *
 * An application is a shared library that defines one function:
 *
 *     int liveswap_main(int fd);
 *
 * liveswap loads it into a worker process of its own and calls that function on the process' main thread.
 * Everything else on this page is optional: functions that the worker host defines and the application may
 * call. Link with nothing; the symbols are resolved when the library is loaded:
 *
 *     cc -shared -fPIC $(pkg-config --cflags liveswap-plugin) -o libapp.so app.c
 *
 * An application that must also load outside liveswap defines LIVESWAP_WEAK before including this header.
 * Its references are then weak: compare a function with NULL before calling it.
 *
 * Unless a function says otherwise: callable from any thread, from a constructor of the library onwards;
 * never blocks; never fails; not async-signal-safe. Every descriptor that a function returns is borrowed: it
 * belongs to the host, is valid until the process ends, and may be polled by any number of threads and event
 * loops, but must not be closed, shut down, or have its flags changed. A C++ exception that leaves a function
 * of the application ends the worker (SIGABRT).
 *
 * Plain C, no dependency; compiles as C11 ... C17 and C++11 ... C++20.
 */
#ifndef LIVESWAP_PLUGIN_H
#define LIVESWAP_PLUGIN_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

#define LIVESWAP_EXPORT __attribute__((visibility("default")))
/* Default visibility, so that neither -fvisibility=hidden nor a pragma makes a reference that cannot be
 * resolved. */
#ifdef LIVESWAP_WEAK
#define LIVESWAP_HOST __attribute__((visibility("default"), weak))
#else
#define LIVESWAP_HOST __attribute__((visibility("default")))
#endif

/* ---- what an application defines ---------------------------------------------------------------------- */

/*
 * The application. `fd` is the first listener: a listening socket, non-blocking and close-on-exec, borrowed;
 * -1 when none was configured. It stays the same socket across every upgrade, so nothing that waits in its
 * accept queue is ever lost.
 *
 * O_NONBLOCK, the backlog and shutdown() act on the socket that old and new workers share: leave them alone.
 *
 * Returns 0 once the application has drained (liveswap_drain_fd) and its connections have ended. Any other
 * value, or returning before a drain was asked for, is a failure of the worker.
 */
LIVESWAP_EXPORT int liveswap_main(int fd);

/* The version of this contract. A host accepts every application with its own major number. Since
 * 1.1: liveswap_served. An application that must also load in a host of 1.0 refers to it weakly. */
#define LIVESWAP_ABI_MAJOR 1
#define LIVESWAP_ABI_MINOR 1

/* Flag of the ABI note: this application says itself when it is ready, as after liveswap_defer_ready(). */
#define LIVESWAP_DEFER_READY 1u

/*
 * The optional ABI note. A library without one is taken as 1.0 with no flags. `size` is sizeof(struct
 * liveswap_abi) as the application knew it, so that the note can grow; a host reads no further than that.
 */
struct liveswap_abi {
  uint32_t size;
  uint16_t major;
  uint16_t minor;
  uint32_t flags;
};

/* Put at file scope, in one source file: LIVESWAP_ABI_NOTE(0) or LIVESWAP_ABI_NOTE(LIVESWAP_DEFER_READY) */
#ifdef __cplusplus
#define LIVESWAP_ABI_NOTE_LINKAGE extern "C"
#else
#define LIVESWAP_ABI_NOTE_LINKAGE extern
#endif
#define LIVESWAP_ABI_NOTE(flags)                                                                            \
  LIVESWAP_ABI_NOTE_LINKAGE LIVESWAP_EXPORT const struct liveswap_abi liveswap_abi_note;                    \
  const struct liveswap_abi liveswap_abi_note = {(uint32_t)sizeof(struct liveswap_abi), LIVESWAP_ABI_MAJOR, \
                                                 LIVESWAP_ABI_MINOR, (flags)};

/*
 * The optional self-test. Before an upgrade touches any worker, and in `liveswap check`, the library is
 * loaded into a process of its own; if it exports this function, that is called there, on the main thread,
 * after the constructors, and liveswap_main is not. 0: fine, anything else: the release is rejected, with the
 * number and what it has said by liveswap_log. It has to be back within the check limit (30 s by default;
 * --check-limit), and may block, crash or hang without harming anybody.
 *
 * It runs beside the workers that serve, with their user, limits, environment and working directory: open
 * what the application will open, but bind no address and change no data. There are no listeners
 * (liveswap_listener says ENOENT) and no messages; liveswap_slot() is -1, liveswap_generation() 0,
 * liveswap_argv as in a worker. The process then ends by exit(), so that exit handlers and destructors run.
 */
LIVESWAP_EXPORT int liveswap_selftest(void);

/* ---- readiness ---------------------------------------------------------------------------------------- */

/*
 * Says that this worker serves. From then on the worker it succeeds may be told to drain, so call it when the
 * first request would be answered. Idempotent: only the first call counts.
 *
 * An application that never calls it, and never deferred, is ready when it waits for connections (accept,
 * poll, select, or an epoll that has it) on every listener, lent or bound by itself, that the worker before
 * it in its slot waited on. It fails when it has not within the ready limit. A listener that it has not bound
 * within `--listener-wait` (10 s) while it waits on another one is taken for dropped. Where the worker before
 * waited on none, it is ready when liveswap_main has been entered and has neither returned nor died within
 * the settle time (100 ms by default); but one that binds listeners, has another entry than liveswap_main, or
 * was started without `--listen` first has to wait on one of them (or be started with `--no-await-listener`).
 * With io_uring or
 * `--intercept seccomp`, where not every wait can be seen, having listened for 100 ms is enough.
 */
LIVESWAP_HOST void liveswap_ready(void);

/*
 * Turns automatic readiness off: the worker is ready only when it calls liveswap_ready(), and fails when it
 * has not within the ready limit (30 s by default). Call it from a constructor or early in liveswap_main;
 * after the worker has become ready it does nothing. Idempotent.
 */
LIVESWAP_HOST void liveswap_defer_ready(void);

/* ---- drain -------------------------------------------------------------------------------------------- */

/*
 * An application that calls one of the next three functions, at any time, drains by itself: nothing is taken
 * from it before the drain limit. One that calls none of them is drained from outside: its listeners are
 * taken away, its connections counted, idle ones ended or moved (`--keepalive`), and when there is none left,
 * and no hold, the process is ended: by its own handler of SIGTERM if it has one, else, or when that takes
 * longer than the term grace (2 s by default), by _exit(0). What liveswap_main returns is then no failure.
 */

/*
 * A descriptor that becomes readable when the worker shall drain, and stays readable for ever. Poll it, level
 * or edge triggered; never read it. Draining means: stop accepting, finish the open connections, return 0
 * from liveswap_main. Also signalled when the master has died.
 */
LIVESWAP_HOST int liveswap_drain_fd(void);

/* 1 once the worker shall drain, else 0. One atomic load: cheap enough for every request. */
LIVESWAP_HOST int liveswap_draining(void);

/*
 * Milliseconds until the drain limit, never below 0; -1 while not draining and when there is no limit. When
 * it has passed, the listeners are taken away from the worker, then it gets SIGTERM, then SIGKILL.
 */
LIVESWAP_HOST long liveswap_drain_left_ms(void);

/*
 * Marks work that is no connection (a job, a write-back). While more holds than releases were made, a worker
 * whose liveswap_main has returned, or that is drained from outside, waits for the rest before it ends,
 * within the drain limit. A release without a hold is ignored.
 */
LIVESWAP_HOST void liveswap_hold(void);
LIVESWAP_HOST void liveswap_release(void);

/* ---- how it goes --------------------------------------------------------------------------------------- */

/*
 * Counts a request that has been answered. `failed`: 0 when it was answered as it should be; anything else
 * when the application itself is to blame (HTTP: 5xx), not its client. An upgrade may be judged by it: the
 * share of failures of the new workers against that of the old ones. Call it for every request or for none.
 * One relaxed atomic operation: cheap enough for every request.
 */
LIVESWAP_HOST void liveswap_served(int failed);

/* ---- listeners ---------------------------------------------------------------------------------------- */

/*
 * The listening socket with that name (`--listen name=address`; one without a name bears its number, "0" for
 * the first), borrowed as the `fd` of liveswap_main is. -1 with errno ENOENT when there is none of that name,
 * EINVAL for NULL.
 */
LIVESWAP_HOST int liveswap_listener(const char* name);

/* ---- messages ----------------------------------------------------------------------------------------- */

/*
 * A descriptor that is readable while a message of `liveswap message TEXT` waits in this worker. The host
 * keeps a bounded number of them; what does not fit is refused, and the sender is told.
 */
LIVESWAP_HOST int liveswap_message_fd(void);

/*
 * Takes the oldest waiting message: copies it into `buf` with a terminating NUL and returns its length, which
 * does not count the NUL. Returns 0 when none waits (a message is never empty). Never truncates: when
 * `capacity` is too small for text and NUL it returns -1 with errno EMSGSIZE and the message stays; 65536 is
 * always enough. EINVAL for NULL.
 */
LIVESWAP_HOST ssize_t liveswap_message(char* buf, size_t capacity);

/* ---- who am I ----------------------------------------------------------------------------------------- */

/* The number of the slot this worker fills, 0 ... forks-1; -1 in a process that is no worker (self-test,
 * plugin). */
LIVESWAP_HOST int liveswap_slot(void);

/* The generation this worker belongs to: 1 after the start, higher after every upgrade. */
LIVESWAP_HOST uint64_t liveswap_generation(void);

/*
 * The arguments after `--` of `liveswap start`. argv[0] is the path of the library, argv[argc] is NULL. The
 * strings are borrowed and writable, as those of main() are.
 */
LIVESWAP_HOST int liveswap_argc(void);
LIVESWAP_HOST char** liveswap_argv(void);

/* Levels of liveswap_log. */
enum { LIVESWAP_DEBUG = 0, LIVESWAP_INFO = 1, LIVESWAP_WARNING = 2, LIVESWAP_ERROR = 3 };

/*
 * Writes a line to the master's log, with slot and pid before it, whatever its level. `text` is copied;
 * beyond 4096 bytes it is cut and marked so. Never blocks: a line that the master has no room for is dropped
 * and counted, and so is each beyond 1,000 in a second.
 */
LIVESWAP_HOST void liveswap_log(int level, const char* text);

/* ---- two things that every server needs and gets wrong ------------------------------------------------- */

/*
 * Closes a connection without cutting off its last answer. A plain close() while unread bytes wait, or arrive
 * later, makes the kernel send RST, which can destroy an answer that the client has not read yet. This one
 * takes ownership of `fd` (a connected stream socket; the caller must not use it again), sends FIN, and lets
 * the host read and discard in the background until the client has closed too, 2 s at the most. The worker's
 * exit waits for it. Take `fd` out of your epoll first: unlike close(), this does not, and its events would
 * go on.
 *
 * Returns 0, or -1 with errno EBADF or ENOTSOCK, and then `fd` remains the caller's.
 */
LIVESWAP_HOST int liveswap_close_lingering(int fd);

/*
 * Ends an idle keep-alive connection during a drain, at the moment when it hurts least. Closing at once loses
 * requests that are on their way; so every idle connection is kept for a grace (200 ms after the drain began
 * and after its last answer), in which a client that still uses it sends its next request and is answered
 * with `Connection: close`.
 *
 * `idle_ms`: milliseconds since the last answer on this connection was written. Call it for a connection on
 * which no request is under way; returns
 *   0     closed: the host owns `fd` now and closes it as liveswap_close_lingering does;
 *   > 0   not yet: ask again in that many milliseconds, and keep serving it until then;
 *   -1    errno EAGAIN: bytes of a request wait in it, read them; EBADF or ENOTSOCK: not a socket.
 * While the worker does not drain it returns the grace and leaves the connection alone. With epoll:
 * EPOLL_CTL_DEL before the call, ADD again after any other result than 0.
 */
LIVESWAP_HOST int liveswap_close_idle(int fd, long idle_ms);

/* ---- pre-upgrade plugins ------------------------------------------------------------------------------- */

/*
 * A pre-upgrade plugin is a shared library that defines liveswap_preupgrade. It is called before each
 * upgrade, in a process of its own with a time limit, so that it may block, crash or hang without harming
 * anybody.
 *
 * `value` is the path asked for ("" when none was given), borrowed until `done` has been called. The plugin
 * calls `done` exactly once, from any thread, during the call or later, with the `ctx` it was given and
 *   error   NULL, or why the upgrade shall not happen: it reaches the one who asked for it;
 *   value   the path to upgrade to, or NULL to keep the one asked for; a relative one is meant from the
 * plugin's working directory: --working-directory, else the one the master was started in. Both are copied
 * before `done` returns. A second call is ignored. Returning without having called `done` is fine; the
 * process then waits for it until the limit.
 */
typedef void (*liveswap_done)(void* ctx, const char* error, const char* value);

LIVESWAP_EXPORT void liveswap_preupgrade(const char* value, liveswap_done done, void* ctx);

#ifdef __cplusplus
}
#endif
#endif
