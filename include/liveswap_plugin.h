/*
 * liveswap_plugin.h: the contract between liveswap and an application.
 *
 * An application is a shared library that defines one function:
 *
 *     int liveswap_main(int fd);
 *
 * liveswap starts worker processes, one in each slot (--forks). In a worker, the program liveswap-worker (the
 * worker host) loads the library and calls that function on the main thread. An upgrade starts a successor in
 * each slot and then tells its predecessor to drain: to finish the open connections and end.
 *
 * Everything else on this page is optional: functions that the worker host defines and that the application
 * may call. No library has to be linked; the symbols are resolved when the application is loaded:
 *
 *     cc -shared -fPIC $(pkg-config --cflags liveswap-plugin) -o libapp.so app.c
 *
 * An application that must also load outside liveswap defines LIVESWAP_WEAK before including this header. Its
 * references are then weak: compare a function with NULL before calling it.
 *
 * Unless a function says otherwise: callable from any thread, from a constructor of the library onwards;
 * never blocks; never fails; not async-signal-safe. Every descriptor that a function returns is borrowed: it
 * belongs to the worker host, is valid until the process ends, and may be polled by any number of threads and
 * event loops, but must not be closed, shut down, or have its flags changed. A C++ exception that leaves a
 * function of the application ends the worker (SIGABRT).
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
/* For functions of the worker host. Default visibility, so that -fvisibility=hidden or a pragma does not make
 * references unresolvable. */
#ifdef LIVESWAP_WEAK
#define LIVESWAP_HOST __attribute__((visibility("default"), weak))
#else
#define LIVESWAP_HOST __attribute__((visibility("default")))
#endif

/* ---- what an application defines ---------------------------------------------------------------------- */

/*
 * The application. `fd` is the first listener: a listening socket, non-blocking and close-on-exec, borrowed;
 * -1 when none was configured. It stays the same socket across every upgrade, so connections in its accept
 * queue are never lost.
 *
 * Old and new workers share the socket. O_NONBLOCK, the backlog and shutdown() would affect all of them: do
 * not change them.
 *
 * Returns 0 once the application has drained (liveswap_drain_fd) and its connections have ended. Any other
 * value, or returning before a drain was ordered, is a failure of the worker.
 */
LIVESWAP_EXPORT int liveswap_main(int fd);

/* The version of this contract. A host accepts every application with its own major number. Since 1.1:
 * liveswap_served. Since 1.2: liveswap_heartbeat. An application that must also load in an older host refers
 * to these functions weakly. */
#define LIVESWAP_ABI_MAJOR 1
#define LIVESWAP_ABI_MINOR 2

/* Flag of the ABI note: the application reports readiness itself, as after liveswap_defer_ready(). */
#define LIVESWAP_DEFER_READY 1u

/*
 * The optional ABI note. A library without a note is taken as 1.0 with no flags. `size` is sizeof(struct
 * liveswap_abi) when the application was compiled, so that the note can grow; a host reads no further.
 */
struct liveswap_abi {
  uint32_t size;
  uint16_t major;
  uint16_t minor;
  uint32_t flags;
};

/* At file scope, in one source file: LIVESWAP_ABI_NOTE(0) or LIVESWAP_ABI_NOTE(LIVESWAP_DEFER_READY) */
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
 * The optional self-test. Before an upgrade replaces any worker, and in `liveswap check`, the library is
 * loaded into a process of its own. If the library exports this function, it is called there, on the main
 * thread, after the constructors; liveswap_main is not called. Returns 0 on success. Any other value rejects
 * the release; the answer contains the value and the lines of liveswap_log. Must return within the check
 * limit (30 s by default; --check-limit). May block, crash or hang without harm to any worker.
 *
 * The self-test runs beside the workers that serve, with their user, limits, environment and working
 * directory: open what the application will open, but bind no address and change no data. There are no
 * listeners (liveswap_listener fails with ENOENT) and no messages; liveswap_slot() is -1,
 * liveswap_generation() 0, liveswap_argv as in a worker. The process then ends by exit(), so exit handlers
 * and destructors run.
 */
LIVESWAP_EXPORT int liveswap_selftest(void);

/* ---- readiness ---------------------------------------------------------------------------------------- */

/*
 * Reports that this worker serves. From then on its predecessor may be told to drain, so call this when the
 * first request would be answered. Idempotent: only the first call counts.
 *
 * If the application calls neither this nor liveswap_defer_ready(), liveswap observes where the application
 * waits for connections (accept, poll, select, or an epoll that has the listener). The worker is ready when
 * the application has waited on every listener on which the predecessor waited: those of `--listen` and those
 * that the application binds itself. The worker fails if that takes longer than the ready limit. If the
 * application waits on one listener, but has not bound another one within `--listener-wait` (10 s), liveswap
 * considers the other one dropped by the new code.
 *
 * If the predecessor waited on no listener, the worker is ready when liveswap_main has run for the settle
 * time (100 ms by default). But an application that binds listeners, has another entry than liveswap_main, or
 * was started without `--listen`, must first wait on a listener (or be started with `--no-await-listener`).
 * With io_uring or `--intercept seccomp`, where some waits cannot be seen, listening for 100 ms is enough.
 */
LIVESWAP_HOST void liveswap_ready(void);

/*
 * Turns automatic readiness off: the worker is ready only when it calls liveswap_ready(), and fails if it has
 * not within the ready limit (30 s by default). Call it from a constructor or early in liveswap_main; no
 * effect once the worker is ready. Idempotent.
 */
LIVESWAP_HOST void liveswap_defer_ready(void);

/* ---- drain -------------------------------------------------------------------------------------------- */

/*
 * An application that calls one of the next three functions, at any time, drains by itself: before the drain
 * limit the worker host neither revokes listeners nor ends connections. An application that calls none
 * of them is drained by the worker host: the host revokes the listeners (the application gets no more
 * connections from them), counts the open connections, and ends idle ones or hands them off to the successor
 * (`--keepalive`). When no connection and no hold is left, the host ends the process: by SIGTERM if the
 * application handles that signal; otherwise, or when the handler takes longer than the term grace (2 s by
 * default), by _exit(0). What liveswap_main returns is then no failure.
 */

/*
 * A descriptor that becomes readable when the worker shall drain, and stays readable for ever. Poll it, level
 * or edge triggered; never read it. To drain means: stop accepting, finish the open connections, return 0
 * from liveswap_main. Also signalled when the master has died.
 */
LIVESWAP_HOST int liveswap_drain_fd(void);

/* 1 once the worker shall drain, else 0. One atomic load: cheap enough for every request. */
LIVESWAP_HOST int liveswap_draining(void);

/*
 * Milliseconds until the drain limit, never below 0; -1 while not draining and when there is no limit. After
 * the limit the worker's listeners are revoked, then it gets SIGTERM, then SIGKILL.
 */
LIVESWAP_HOST long liveswap_drain_left_ms(void);

/*
 * Marks work that is not a connection (a job, a write-back). During a drain, while there are more holds than
 * releases, the worker host does not end the process before the drain limit, not even after liveswap_main has
 * returned. A release without a hold is ignored.
 */
LIVESWAP_HOST void liveswap_hold(void);
LIVESWAP_HOST void liveswap_release(void);

/* ---- request results ----------------------------------------------------------------------------------- */

/*
 * Counts a request that was answered. `failed`: 0 for a proper answer; any other value if the application is
 * to blame (HTTP: 5xx), not its client. An upgrade may be judged by the share of failures in the new workers
 * against the old ones. Call this for every request or for none. Two relaxed atomic operations: cheap enough
 * for every request. The first call also tells the master that the worker counts. Any thread; does not block.
 */
LIVESWAP_HOST void liveswap_served(int failed);

/* ---- heartbeat ----------------------------------------------------------------------------------------- */

/*
 * Says that the application's loop goes round. With `--liveness heartbeat` a worker whose heartbeats stay
 * away counts as hung and is replaced; it is watched from its first heartbeat on. Returns the milliseconds
 * after which the next call is due at the latest, or -1 if no heartbeat is wanted, which is what poll() takes
 * for "no limit". So one call in an event loop is enough:
 *
 *     poll(fds, count, liveswap_heartbeat());
 *
 * Call it from the loop that serves requests, not from a timer thread, which would go on while that loop
 * hangs. Cheap: most calls read the clock, and a few a second send the master a packet, without blocking. Any
 * thread; without effect in a forked child. Keeps errno.
 */
LIVESWAP_HOST int liveswap_heartbeat(void);

/* ---- listeners ---------------------------------------------------------------------------------------- */

/*
 * The listening socket with that name (`--listen name=address`; one without a name has its number as name,
 * "0" for the first), borrowed like the `fd` of liveswap_main. -1 with errno ENOENT: no such name; EINVAL:
 * NULL.
 */
LIVESWAP_HOST int liveswap_listener(const char* name);

/* ---- messages ----------------------------------------------------------------------------------------- */

/*
 * A descriptor that is readable while a message of `liveswap message TEXT` waits in this worker. The host
 * stores a bounded number of messages; a message that does not fit is refused, and its sender is told.
 */
LIVESWAP_HOST int liveswap_message_fd(void);

/*
 * Takes the oldest waiting message: copies it into `buf` with a terminating NUL and returns its length,
 * without the NUL. Returns 0 when no message waits (a message is never empty). Never truncates: if `capacity`
 * is too small for text and NUL, returns -1 with errno EMSGSIZE and the message stays; 65536 is always
 * enough. EINVAL for NULL.
 */
LIVESWAP_HOST ssize_t liveswap_message(char* buf, size_t capacity);

/* ---- identity ----------------------------------------------------------------------------------------- */

/* The number of the slot that this worker fills, 0 ... forks-1; -1 in a self-test or plugin. */
LIVESWAP_HOST int liveswap_slot(void);

/* The generation that this worker belongs to: 1 after the start, higher after every upgrade. */
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
 * Writes a line to the master's log, prefixed with slot and pid, whatever the level. `text` is copied; beyond
 * 4096 bytes it is cut and marked as cut. Never blocks: a line is dropped and counted if the master has no
 * room, or beyond 1,000 lines in a second.
 */
LIVESWAP_HOST void liveswap_log(int level, const char* text);

/* ---- closing connections ------------------------------------------------------------------------------- */

/*
 * Closes a connection without losing its last answer. A plain close() while unread bytes wait, or arrive
 * later, makes the kernel send RST, which can destroy an answer that the client has not read yet. This
 * function takes ownership of `fd` (a connected stream socket; the caller must not use it again) and sends
 * FIN. The host then reads and discards in the background until the client has closed too, 2 s at most. The
 * worker's exit waits for that. Remove `fd` from your epoll first: unlike close(), this function does not,
 * and its events would continue.
 *
 * Returns 0, or -1 with errno EBADF or ENOTSOCK, and then `fd` remains the caller's.
 */
LIVESWAP_HOST int liveswap_close_lingering(int fd);

/*
 * Closes an idle keep-alive connection during a drain, without losing a request. Closing at once would lose
 * requests in flight; so every idle connection is kept for a grace: 200 ms after the drain began or after its
 * last answer, whichever is later. A client that still uses the connection sends its next request in that
 * time and is answered with `Connection: close`.
 *
 * `idle_ms`: milliseconds since the last answer on this connection was written. Call this for a connection
 * without a request in progress. Returns
 *   0     closed: the host owns `fd` now and closes it as liveswap_close_lingering does;
 *   > 0   not yet: call again in that many milliseconds, and keep serving the connection until then;
 *   -1    errno EAGAIN: bytes of a request wait, read them; EBADF or ENOTSOCK: not a socket.
 * While the worker does not drain, returns the grace and leaves the connection alone. With epoll, remove `fd`
 * (EPOLL_CTL_DEL) before the call, and add it again after any result other than 0.
 */
LIVESWAP_HOST int liveswap_close_idle(int fd, long idle_ms);

/* ---- pre-upgrade plugins ------------------------------------------------------------------------------- */

/*
 * A pre-upgrade plugin is a shared library that defines liveswap_preupgrade. The function is called before
 * each upgrade, in a process of its own with a time limit. It may block, crash or hang without harm to any
 * worker.
 *
 * `value` is the path asked for ("" when none was given), borrowed until `done` was called. The plugin calls
 * `done` exactly once, from any thread, during the call or later, with the `ctx` that it was given and
 *   error   NULL, or why the upgrade shall not happen: shown to the requester;
 *   value   the path to upgrade to, or NULL to keep the one asked for. A relative path is resolved from the
 *           plugin's working directory: --working-directory, else the directory the master was started in.
 * Both are copied before `done` returns. A second call is ignored. The function may return without having
 * called `done`; the process then waits for the call until the limit.
 */
typedef void (*liveswap_done)(void* ctx, const char* error, const char* value);

LIVESWAP_EXPORT void liveswap_preupgrade(const char* value, liveswap_done done, void* ctx);

#ifdef __cplusplus
}
#endif
#endif
