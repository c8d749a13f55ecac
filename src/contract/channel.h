/*
 * The protocol between master and worker host.
 *
 * The channel is a SOCK_SEQPACKET socketpair that the master makes for each worker. One packet is one frame:
 * a struct liveswap_frame, followed by `packet size - sizeof frame` bytes of text without a NUL. Both ends
 * may pass one descriptor with a frame (SCM_RIGHTS); the receiver closes a descriptor that the frame's kind
 * does not define. End of file means that the other end is gone: the master then reaps the worker; a worker
 * drains and leaves.
 *
 * The master trusts nothing that a worker sends: every frame is checked for size and kind.
 *
 * Plain C, shared by the C++ master and the C worker host. This file is not part of the contract with
 * applications.
 */
#ifndef LIVESWAP_CONTRACT_CHANNEL_H
#define LIVESWAP_CONTRACT_CHANNEL_H

#include <stdint.h>

/* The version of this file. A master may be replaced while its workers run, so it speaks every version up to
 * its own: a frame changes neither number nor content; new kinds come behind the others, and both ends ignore
 * kinds that they do not know. A worker host tells its version in its first frame (STAGED). 0: before there
 * were versions, with the same frames as 1. 2: liveness checks (ADOPT with a negative value, HEARTBEAT).
 * 3: SERVED. */
#ifndef LIVESWAP_CHANNEL_VERSION
#define LIVESWAP_CHANNEL_VERSION 3
#endif
#define LIVESWAP_CHANNEL_WITH_CHECKS 2
#define LIVESWAP_CHANNEL_WITH_SERVED 3

/* Where a worker host finds its descriptors after exec. Every descriptor above the last listener is
 * closed. */
enum {
  LIVESWAP_FD_CHANNEL = 3,
  /* A file with a lock, which a worker only keeps open: from the lock a later master sees that workers of the
   * earlier one still run (master/instance_lock.hpp). */
  LIVESWAP_FD_LIFE = 4,
  /* Where standard output and error would go without a master; used once the master has died. */
  LIVESWAP_FD_OUTPUT = 5,
  LIVESWAP_FD_ERROR = 6,
  LIVESWAP_FD_LISTENERS = 7, /* the first of --listeners; the others follow */
};

enum {
  LIVESWAP_TEXT_MAX = 64 * 1024, /* bytes of text in a frame */
  LIVESWAP_LOG_MAX = 4096,       /* bytes of a log line */
  LIVESWAP_LISTENERS_MAX = 64,   /* those of --listeners (lent); an application may bind as many more */
};

/* How far a worker has come, so that a failure names its stage. In the order in which a worker passes
 * them. */
enum liveswap_stage {
  LIVESWAP_STAGE_SPAWN = 0, /* fork, exec, limits, user, working directory: reported by the master */
  LIVESWAP_STAGE_OPEN,      /* the file: missing, not regular, not readable */
  LIVESWAP_STAGE_LINK,      /* dlopen: not ELF, wrong architecture, missing library or symbol, constructors */
  LIVESWAP_STAGE_ENTRY,     /* liveswap_main is not exported */
  LIVESWAP_STAGE_ABI,       /* the ABI note asks for another major version */
  LIVESWAP_STAGE_SELFTEST,  /* liveswap_selftest has been entered; only in a check */
  LIVESWAP_STAGE_START,     /* liveswap_main has been entered and the worker is not ready */
  LIVESWAP_STAGE_READY,     /* the ready limit has passed */
  LIVESWAP_STAGE_RUN,       /* after the worker was ready */
  LIVESWAP_STAGE_SYNTAX,    /* after LINK; only in a check of a script: its runtime reads it */
};

enum liveswap_frame_kind {
  /* master → worker */
  LIVESWAP_DRAIN = 1, /* value: the drain limit in ms, -1: none; a later frame replaces the limit. count: enum
                         liveswap_drain */
  LIVESWAP_REVOKE,    /* force begins: revoke the application's listeners */
  LIVESWAP_MESSAGE,   /* value: a number, for the answer; text: the message, never empty */
  LIVESWAP_COUNT,     /* asks for COUNTED; value: a number, for the answer */
  LIVESWAP_ANSWER,  /* value: that of the BIND, LISTEN, UNLINK, RENAME or HANDOFF. count: 0 or an errno. After
                       a BIND with a descriptor: the socket that replaces the application's */
  LIVESWAP_ADOPT,   /* descriptor: a connection that the predecessor has handed off. text: uint64_t, SO_COOKIE
                       of the listener whose accept() shall return the connection. count: ms since the
                       predecessor gave the connection up. The next master may send one twice: the
                       worker host closes the second.
                       value < 0: a connection of the master itself (liveness check), answered by TAKEN or
                       REFUSED and never handed on */
  LIVESWAP_REPLACE, /* descriptor: a listening socket that replaces one whose file is lost. text: uint64_t,
                       SO_COOKIE of the lost one */

  /* worker → master */
  LIVESWAP_STAGED = 64, /* value: enum liveswap_stage, about to begin: OPEN before open(), LINK before
                           dlopen() … count: with OPEN, LIVESWAP_CHANNEL_VERSION */
  LIVESWAP_ENTERED,     /* liveswap_main is about to be called. value: 1: the application reports readiness by
                           liveswap_ready() */
  LIVESWAP_DEFERRED,    /* value: 1: liveswap_defer_ready() was called; 0: the application is about to bind a
                           listener, so WAITS frames decide about readiness */
  LIVESWAP_READY,       /* liveswap_ready() */
  LIVESWAP_FAILED,      /* value: enum liveswap_stage; text: why, for people */
  LIVESWAP_RETURNED,    /* value: what liveswap_main has returned. count 1: main() of a program */
  LIVESWAP_LOG,         /* value: the level; text: the line */
  LIVESWAP_TAKEN,       /* value: that of the MESSAGE, which is now in the application's inbox; or that of the
                           ADOPT, whose connection accept() has returned */
  LIVESWAP_REFUSED,     /* value: that of the MESSAGE, for which the inbox had no room; or that of the
                           ADOPT: count: enum liveswap_refusal */
  LIVESWAP_COUNTED,   /* value: that of the COUNT; count: open connections; text: struct liveswap_served_count
                       */
  LIVESWAP_TASK_DONE, /* the end of a task. value 1: text is the error. value 0: success, and then from a
                         pre-upgrade plugin, text: the path ("": keep the requested one); from a
                         liveswap-store: see store/main.cpp, an answer longer than a frame comes as a
                         descriptor of a regular file, count: its size; from a check, before exit handlers
                         run, text: the paths of the library and of all libraries loaded with it, one a line,
                         count: threads that the library has left running. For a program or script there are
                         lines "!kind WORD" first, and for a script "!runtime PATH", "!version TEXT" */

  LIVESWAP_FORKED,   /* the application has forked: its children may have connections */
  LIVESWAP_RETIRING, /* for an application that does not drain by itself. value 1: the worker host waits for
                        its connections. 0: no connection is left and the process is about to end, or the
                        application has begun to drain by itself */

  /* worker → master: from an application that binds its own listeners. The master answers frames with a value
   * > 0, in any order */
  LIVESWAP_BIND,   /* value: a number. text: struct liveswap_bind. descriptor: the socket to bind. count 1: if
                      the worker is already ready, the master answers LIVESWAP_TOO_LATE */
  LIVESWAP_LISTEN, /* value: a number. count: the backlog. text: uint64_t, SO_COOKIE of the socket of an
                      earlier BIND */
  LIVESWAP_UNLISTEN, /* text: uint64_t as for LISTEN. The application has closed its last descriptor of the
                        listener, or has shut it down. For a lent listener: only if the application had waited
                        for connections, and was not told to drain */
  LIVESWAP_UNLINK, /* value: a number. text: the absolute path of a Unix socket. The master keeps the file of
                      a listener that it holds */
  LIVESWAP_RENAME, /* value: a number. text: two absolute paths with a NUL between them. The answer is
                      LIVESWAP_STAYS_OWN where the master holds no listener at the first path. An answer with
                      a descriptor: all descriptors of the listener at the first path shall become this socket
                    */
  LIVESWAP_MENDED, /* text: the path of a Unix listener. The application had removed the file; the worker host
                      has made it again */
  LIVESWAP_HANDOFF, /* descriptor: a connection for another worker; the master closes one that it refuses.
                       text: uint64_t as for LISTEN, of the listener that the connection came in by. count: 0:
                       an idle connection of this worker; > 0: one that this worker could not adopt, ms since
                       its predecessor gave it up */
  LIVESWAP_WAITS,   /* text: uint64_t, SO_COOKIE of a listener, lent or the application's: the first wait for
                       connections on it was seen. The master decides by these frames when the worker is ready
                     */

  LIVESWAP_OPTION, /* text: struct liveswap_option: the application has set an option of a listener that the
                      master holds */

  /* worker → master, in a drain: at each change and before the end; text: struct liveswap_idle_count */
  LIVESWAP_IDLE,

  /* subreaper of a check or plugin (worker/subreaper.h) → master, before the end: a process that the library
   * left behind has been killed. text: "PID NAME"; value 1: the process was still in the process group of the
   * check */
  LIVESWAP_LEFT,

  LIVESWAP_HEARTBEAT, /* liveswap_heartbeat(); at most one in half the time of --heartbeat. value: that time,
                         in ms */

  LIVESWAP_ELSEWHERE, /* count: open connections of processes that the application has started. At each
                         change, before the COUNTED that includes them */

  LIVESWAP_SERVED, /* the application has called liveswap_served() for the first time. A worker that has not
                      said so need not be asked for its requests */
};

enum liveswap_refusal {
  LIVESWAP_REFUSAL_UNSEEN,   /* no accept() that the worker host sees will return the connection */
  LIVESWAP_REFUSAL_NOT_HELD, /* the worker does not have the listener */
  LIVESWAP_REFUSAL_NO_ROOM,  /* the worker has no free descriptor for it, or too many wait to be accepted */
};

enum liveswap_drain {
  LIVESWAP_DRAIN_SUCCEEDED = 1 /* a successor serves, and adopts connections that are handed off */
};

/* The name of the second hard link that the master makes beside the file NAME of a Unix listener:
 * ".NAME.liveswap". */
#define LIVESWAP_SPARE_BEFORE "."
#define LIVESWAP_SPARE_AFTER ".liveswap"

/* In the ANSWER to a BIND, instead of an errno: the socket stays the application's own, because it cannot be
 * shared; or because the worker is already ready. */
enum { LIVESWAP_STAYS_OWN = 4096, LIVESWAP_TOO_LATE = 4097 };

enum { LIVESWAP_ADDRESS_MAX = 128 }; /* sizeof(struct sockaddr_storage) */

/* A bind() of the application. The master checks every field. */
struct liveswap_bind {
  int32_t domain;
  int32_t type; /* SOCK_STREAM …, without flags */
  int32_t protocol;
  uint32_t v6only;                             /* 0 or 1 */
  uint32_t umask;                              /* of the worker; for the file of a Unix socket */
  uint32_t address_size;                       /* bytes used of `address` */
  unsigned char address[LIVESWAP_ADDRESS_MAX]; /* a path is absolute */
};

/* A setsockopt() of the application on a listener, after it has succeeded. */
struct liveswap_option {
  uint64_t cookie; /* SO_COOKIE of the socket */
  int32_t level;
  int32_t name;
  uint32_t size; /* bytes used of `value`; a longer value is cut */
  unsigned char value[256];
};

/* Requests since the worker's start, counted by liveswap_served(); 0 if the application never calls it. */
struct liveswap_served_count {
  uint64_t served; /* including those that failed */
  uint64_t failed;
};

/* Idle connections of a draining worker so far: those that were closed, and those that were handed to the
 * successor. */
struct liveswap_idle_count {
  uint64_t ended;
  uint64_t handed_off;
};

struct liveswap_frame {
  uint32_t kind;  /* enum liveswap_frame_kind */
  int32_t value;  /* by kind */
  uint64_t count; /* by kind, else 0 */
};

/*
 * The worker host's command line, in this order:
 *
 *   liveswap-worker --slot N --generation G --drain-limit MS --term-grace MS --listeners a,b,c [MORE …]
 *                   PATH [ARG …]
 *   liveswap-worker --pre-upgrade PATH VALUE
 *   liveswap-worker --check [--entry NAME] PATH [ARG …]
 *
 * MORE, in any order; an option with its default value is left out:
 *   --entry NAME                        the function to call: liveswap_main, or main
 *   --intercept libc|seccomp            how bind() of the application is intercepted
 *   --keepalive end|migrate|keep|http   what happens to idle connections in a drain; default: end for a
 *                                       plugin, http for a program or script
 *   --keepalive-grace MS                how long a connection must be idle for that
 *   --heartbeat MS                      how often the master wants a heartbeat (liveswap_heartbeat)
 *   --await nothing                     a program may be ready without waiting on a listener
 *   --kind plugin|program|script        the kind of the release, which else its content tells
 *   --start FILE                        what starts a release that is a directory
 *   --runtime ENDING=WORD…              the command for scripts with that ending; without an ending: for this
 *                                       release. 0x1f stands between two words. Repeatable
 *   --runtime-check ENDING=WORD…        the command that checks such scripts, likewise
 *   --as WORD                           argv[0] of a program, instead of its path in the store
 *
 * The master passes the words of a worker from --slot to MORE in LIVESWAP_WORKER_VARIABLE instead, one word a
 * line; the command line is then PATH [ARG …]. So Go and Rust, which read the process's arguments without
 * main(), see the application's own arguments, and `ps` shows the server. The process's name has slot and
 * generation.
 *
 * PATH is absolute and names the library; ARGs are the words after `--` of `liveswap start`. A check loads
 * the library, looks up the entry and the ABI note, calls liveswap_selftest if the library exports it, and
 * exits like a worker, without calling liveswap_main. A check or plugin runs in a child of the process that
 * was started. SIGTERM to that process ends the child and every process that the child has left behind;
 * SIGKILL ends only their process group. --drain-limit (-1: none) is the limit of a drain that the worker
 * begins because its master has died; --term-grace is the time between two steps of force after the
 * limit. Without listeners, --listeners is the empty word.
 *
 * If PATH is a program or script, or a directory with what starts it (launch/resolve.h), the worker host
 * executes it, or its runtime, with liveswap-hook.so in LD_PRELOAD, which then is the worker host: same
 * process, same descriptors, same frames. The hook gets the words in LIVESWAP_WORKER_VARIABLE, and PATH in
 * LIVESWAP_RELEASE.
 *
 * LD_LIBRARY_PATH may end with the directory `.needed` beside PATH, for the loader of this process only: the
 * worker host removes it before the application runs.
 *
 * Exit status of a worker host: what liveswap_main returned & 0xff, or one of the values below.
 */
#define LIVESWAP_WORKER_VARIABLE "LIVESWAP_WORKER"

enum {
  LIVESWAP_EXIT_LOAD = 120,  /* after a FAILED frame */
  LIVESWAP_EXIT_USAGE = 121, /* the process was not started by a master */
};

#endif
