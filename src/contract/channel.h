/*
 * What master and worker host say to each other.
 *
 * The channel is a SOCK_SEQPACKET socketpair, made by the master for each worker. One packet is one frame: a
 * struct liveswap_frame and, behind it, `size of the packet - sizeof frame` bytes of text without a NUL. Both
 * ends may pass descriptors with a frame (SCM_RIGHTS); a receiver closes those it did not ask for. Either
 * side's end of file means that the other is gone: the master then reaps, the worker then drains and leaves.
 *
 * The worker is not trusted: the master checks every frame for size and kind before it believes a word.
 *
 * Plain C, shared by the C++ master and the C worker host. Both are built from the same tree, so the layout
 * needs no versions; it is not part of the contract with applications.
 */
#ifndef LIVESWAP_CONTRACT_CHANNEL_H
#define LIVESWAP_CONTRACT_CHANNEL_H

#include <stdint.h>

/* Where a worker host finds its descriptors after exec. Everything above the last listener is closed. */
enum {
  LIVESWAP_FD_CHANNEL = 3,
  /* Held for its lock only: tells a later master that workers of this one still live (master/instance_lock).
   */
  LIVESWAP_FD_LIFE = 4,
  /* Where standard output and error went to if they were no pipes to the master: for the time when that has
     died. */
  LIVESWAP_FD_OUTPUT = 5,
  LIVESWAP_FD_ERROR = 6,
  LIVESWAP_FD_LISTENERS = 7, /* the first of --listeners, the next one behind it, … */
};

enum {
  LIVESWAP_TEXT_MAX = 64 * 1024, /* bytes of text in a frame, at most */
  LIVESWAP_LOG_MAX = 4096,       /* bytes of a log line */
  LIVESWAP_LISTENERS_MAX = 64,   /* lent at the start; and as many again that the application binds itself */
};

/* How far a worker has come, so that a failure can say where. In the order in which a worker passes them. */
enum liveswap_stage {
  LIVESWAP_STAGE_SPAWN = 0, /* fork, exec, limits, user, working directory: reported by the master */
  LIVESWAP_STAGE_OPEN,      /* the file: missing, not regular, not readable */
  LIVESWAP_STAGE_LINK,      /* dlopen: not ELF, wrong architecture, missing library or symbol, constructors */
  LIVESWAP_STAGE_ENTRY,     /* liveswap_main is not exported */
  LIVESWAP_STAGE_ABI,       /* the ABI note asks for another major version */
  LIVESWAP_STAGE_SELFTEST,  /* liveswap_selftest has been entered; in check mode only */
  LIVESWAP_STAGE_START,     /* liveswap_main has been entered and the worker is not ready */
  LIVESWAP_STAGE_READY,     /* the ready limit has passed */
  LIVESWAP_STAGE_RUN,       /* it was ready */
};

enum liveswap_frame_kind {
  /* master → worker */
  LIVESWAP_DRAIN =
      1, /* value: the limit in ms, -1 without; a later one replaces the limit; count: enum liveswap_drain */
  LIVESWAP_EXPIRED, /* the drain limit has passed: take the listeners away from the application */
  LIVESWAP_MESSAGE, /* value: a number to answer with; text: the message, never empty */
  LIVESWAP_COUNT,   /* asks for COUNTED; value: a number to answer with */
  LIVESWAP_ANSWER,  /* value: that of a BIND, LISTEN, UNLINK, RENAME or HANDOFF; count: 0, or an errno. With a
                     * descriptor after a  BIND: the socket that the application shall have in place of its own
                     */
  LIVESWAP_ADOPT, /* a connection, as a descriptor, that an earlier worker has given back; text: uint64_t, the
                   * SO_COOKIE of the listener that shall accept it; count: for how many ms it has waited so
                   * far, 0 only from the worker that moves it; the others give it back. What is refused is
                   * closed */
  LIVESWAP_REPLACE, /* a listening socket, as a descriptor, that takes the place of one whose file is gone for
                     * ever; text: uint64_t, the SO_COOKIE of that one */

  /* worker → master */
  LIVESWAP_STAGED = 64, /* value: enum liveswap_stage, reached: OPEN before the open, LINK before dlopen … */
  LIVESWAP_ENTERED,  /* liveswap_main is about to be called; value: 1 when the application says itself when it
                        is ready */
  LIVESWAP_DEFERRED, /* value: 1 after liveswap_defer_ready(); 0: it is about to bind a listener, and is ready
                        by WAITS */
  LIVESWAP_READY,    /* liveswap_ready() */
  LIVESWAP_FAILED,   /* value: enum liveswap_stage; text: why, for people */
  LIVESWAP_RETURNED, /* liveswap_main has returned; value: what */
  LIVESWAP_LOG,      /* value: the level; text: the line */
  LIVESWAP_TAKEN,    /* value: that of the MESSAGE, which now waits in the application's inbox */
  LIVESWAP_REFUSED,  /* value: that of the MESSAGE, for which the inbox had no room */
  LIVESWAP_COUNTED,  /* value: that of the COUNT; count: open connections; text: struct liveswap_served_count
                      */
  LIVESWAP_HOOK_DONE, /* a hook's end; value: 0 and text the path ("" keeps it), or 1 and text the error. Of a
                       * liveswap-store: as main.cpp there says; with a descriptor where the answer may be
                       * longer than a frame: a regular file, count: its size. Of a check: value 0; text: the
                       * paths of the library and of all that was loaded with it, one a line; count: threads
                       * that the library has left running. It has passed; exit handlers run from here on */

  LIVESWAP_FORKED,   /* processes that the application has made may be there, and may have its connections */
  LIVESWAP_RETIRING, /* of an application that does not drain by itself. value 1: its connections are waited
                      * for; 0: none is left, so it is sent SIGTERM where it handles that, or it drains by
                      * itself after all */

  /* worker → master: of an application that binds its own listeners. Those with a value > 0 are answered, in
     any order */
  LIVESWAP_BIND, /* value: a number; text: struct liveswap_bind; a descriptor: the socket that shall be bound;
                  * count: 1 when it shall stay the application's own if the worker is ready */
  LIVESWAP_LISTEN,   /* value: a number; count: the backlog; text: uint64_t, SO_COOKIE of a socket that BIND
                        gave */
  LIVESWAP_UNLISTEN, /* text: uint64_t as for LISTEN: the application has closed its last descriptor of it, or
                      * shut it down; of a lent one: that it had waited for, and without having been told to
                      * drain */
  LIVESWAP_UNLINK, /* value: a number; text: the absolute path of a Unix socket, which is not removed when it
                      is held */
  LIVESWAP_RENAME, /* value: a number; text: two absolute paths, a NUL between them. Answered with
                    * LIVESWAP_STAYS_OWN where it is nothing that is held; with a descriptor: the socket that
                    * all descriptors of the one at the first path shall be */
  LIVESWAP_MENDED, /* text: the path of a Unix listener, whose file the application has removed and the worker
                      host made again */
  LIVESWAP_HANDOFF, /* value: a number; text: uint64_t as for LISTEN, of the listener it came in by; a
                     * descriptor: an idle connection that the successor shall serve; count: for how many ms
                     * it has waited so far */
  LIVESWAP_WAITS, /* text: uint64_t, SO_COOKIE of a listener, lent, of BIND or the application's own, that has
                   * been seen waited for for the first time. The master decides by these when the worker is
                   * ready */

  LIVESWAP_OPTION, /* text: struct liveswap_option: the application has set an option of a listener that it
                      was given */

  /* worker → master, in a drain, whenever it has changed and before the end; text: struct liveswap_idle_count
   */
  LIVESWAP_IDLE,

  /* of a check or a hook, from its subreaper (worker/subreaper.h) before the end; text: "PID NAME" of a
   * process that it has left behind, and which has been killed; value: 1 when it was still in its process
   * group */
  LIVESWAP_LEFT,
};

enum liveswap_drain { LIVESWAP_DRAIN_SUCCEEDED = 1 /* a successor serves, and adopts what is handed off */ };

/* For the file NAME of a Unix listener: a second link to it beside it, made by the master. */
#define LIVESWAP_SPARE_BEFORE "."
#define LIVESWAP_SPARE_AFTER ".liveswap"

/* In place of an errno in the ANSWER to a BIND: a socket that cannot be shared, which stays the application's
 * own; or the worker is ready, and it stays so therefore. */
enum { LIVESWAP_STAYS_OWN = 4096, LIVESWAP_TOO_LATE = 4097 };

enum { LIVESWAP_ADDRESS_MAX = 128 }; /* sizeof(struct sockaddr_storage) */

/* A bind() of the application. The master checks everything in it. */
struct liveswap_bind {
  int32_t domain;
  int32_t type; /* SOCK_STREAM …, without flags */
  int32_t protocol;
  uint32_t v6only;                             /* 0 or 1 */
  uint32_t umask;                              /* of the worker, for a Unix socket's file */
  uint32_t address_size;                       /* that are used of `address` */
  unsigned char address[LIVESWAP_ADDRESS_MAX]; /* a path in it is absolute */
};

/* A setsockopt() of the application on a listener, which has succeeded. */
struct liveswap_option {
  uint64_t cookie; /* SO_COOKIE of the socket */
  int32_t level;
  int32_t name;
  uint32_t size; /* that are used of `value`, which may be cut off */
  unsigned char value[256];
};

/* Requests since the worker's start, by liveswap_served(). All 0 for an application that does not count. */
struct liveswap_served_count {
  uint64_t served; /* those that failed included */
  uint64_t failed;
};

/* Idle connections of a worker that drains: each that it has ended, and each that it has handed to its
 * successor, so far. */
struct liveswap_idle_count {
  uint64_t ended;
  uint64_t moved;
};

struct liveswap_frame {
  uint32_t kind;  /* enum liveswap_frame_kind */
  int32_t value;  /* by kind */
  uint64_t count; /* by kind, else 0 */
};

/*
 * The worker host's command line, in this order:
 *
 *   liveswap-worker --slot N --generation G --drain-limit MS --term-grace MS --listeners a,b,c [MORE …] PATH
 * [ARG …] liveswap-worker --hook PATH VALUE liveswap-worker --check [--entry NAME] PATH [ARG …]
 *
 * MORE, each left out where it is the default, in any order:
 *   --entry NAME              the function to call: liveswap_main, or main
 *   --intercept libc|seccomp  how the application's bind() is seen
 *   --keepalive end|migrate|keep, --keepalive-grace MS: what becomes of idle connections in a drain, and
 * after how long
 *
 * Of a worker the words between the first and PATH may stand in the environment instead, one in a line, and
 * the line is PATH [ARG …]. So it is started by the master: what reads the process's own arguments without
 * asking main for them (Go, Rust) finds those that are meant for it, and `ps` shows the server. The process's
 * name has slot and generation.
 *
 * PATH is absolute and names the library, ARGs are those after `--`. A check loads the library, looks for the
 * entry and the ABI note, calls liveswap_selftest where it is exported, and exits as a worker would;
 * liveswap_main is not called. A check and a hook run in a child of the process that was started: SIGTERM to
 * that one ends both, and all that they have left behind; SIGKILL leaves what is not in their process group.
 * --drain-limit is what a worker gives itself when its master has died (-1: none), --term-grace the time
 * between two steps of the escalation after it. An empty list of listeners is the empty word.
 *
 * LD_LIBRARY_PATH may end with the directory `.needed` beside PATH: the loader of this process looks there,
 * and the application does not see it.
 *
 * Exit statuses of a worker host: what liveswap_main returned & 0xff, or one of these.
 */
#define LIVESWAP_WORKER_VARIABLE "LIVESWAP_WORKER"

enum {
  LIVESWAP_EXIT_LOAD = 120,  /* a FAILED frame was sent */
  LIVESWAP_EXIT_USAGE = 121, /* not started by a master */
};

#endif
