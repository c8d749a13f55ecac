/*
 * What the kernel says of this process in /proc. Kept open from the start, for the application may change its
 * root directory, give up its rights, or have no descriptor left.
 *
 * Without malloc, whose lock a thread of the application may hold for ever.
 */
#ifndef LIVESWAP_WORKER_BASE_PROC_SELF_H
#define LIVESWAP_WORKER_BASE_PROC_SELF_H

#include <stdbool.h>
#include <sys/types.h>

/* False, with errno. Before anything else here. */
bool proc_self_setup(void);

/* Opens a file of /proc/self, "fdinfo/5", to be read. -1 and errno. */
int proc_self_open(const char* path);

/* Reads such a file into `text` with a NUL at its end, as far as there is room. Its length; -1 and errno. */
ssize_t proc_self_read(const char* path, char* text, size_t size);

/* Whether a descriptor is of that kind: "anon_inode:[eventpoll]". */
bool proc_self_descriptor_is(int fd, const char* kind);

/* Calls `visit` for every open descriptor; other threads may open and close meanwhile. False: not for all of
 * them. */
bool proc_self_each_descriptor(void (*visit)(int fd, void* context), void* context);

/* The same for the threads. */
bool proc_self_each_thread(void (*visit)(int thread, void* context), void* context);

/* How many there are; -1: it could not be told. */
int proc_self_count_threads(void);

/* The same for every process of the machine that can be seen. */
bool proc_self_each_process(void (*visit)(int process, void* context), void* context);

/* What the kernel says of another process. False: it is gone. */
struct self_process {
  bool is_over; /* a zombie */
  pid_t parent;
  pid_t group;
  pid_t session;
};
bool proc_self_process_look(pid_t pid, struct self_process* process);

/* Calls `visit` with what each descriptor of another process is: "socket:[123]". False, with errno: it may
 * not be looked at. */
bool proc_self_each_descriptor_of(pid_t pid, void (*visit)(const char* what, void* context), void* context);

/* Calls `visit` for every line of such a file, without its end; a line longer than 1 KiB is cut in pieces.
 * False: not for all. */
bool proc_self_each_line(const char* path, void (*visit)(const char* line, void* context), void* context);

/* What the kernel says of the first of them. False: nothing. */
struct proc_self_status {
  bool is_over;               /* it has ended before the others */
  bool is_filtered;           /* by seccomp */
  unsigned long long blocked; /* signals, the first one in the lowest bit */
};
bool proc_self_status(struct proc_self_status* status);

/* The kernel tells the calls of a process that has changed its user to nobody. RUNNING: it is in no call, or
 * just begins or ends one, and may have been kept from a CPU in the middle of it. */
enum { SELF_CALL_RUNNING = -3, SELF_CALL_UNKNOWN = -2, SELF_CALL_NONE = -1 };

/* The number of the system call that a thread is in, and its first argument. */
long proc_self_call(int thread, unsigned long* first_argument);

#endif
