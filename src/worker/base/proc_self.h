/*
 * Reads /proc. The directories are opened at the start, because the application may later change the root
 * directory, give up rights or run out of descriptors.
 *
 * In a forked child all functions fail, until it calls proc_self_setup() itself.
 *
 * No function allocates memory: the control thread calls them, and a thread of the application may hold
 * malloc's lock for ever. Any thread.
 */
#ifndef LIVESWAP_WORKER_BASE_PROC_SELF_H
#define LIVESWAP_WORKER_BASE_PROC_SELF_H

#include <stdbool.h>
#include <sys/types.h>

/* Called once, before all other functions here. False, with errno. */
bool proc_self_setup(void);

/* Opens a file of /proc/self for reading, e.g. "fdinfo/5". The caller owns the descriptor. -1, with errno. */
int proc_self_open(const char* path);

/* Reads up to `size - 1` bytes of a file of /proc/self into `text` and adds a NUL. Returns the length; -1,
 * with errno. */
ssize_t proc_self_read(const char* path, char* text, size_t size);

/* Whether the link of `fd` is `kind`, e.g. "anon_inode:[eventpoll]". */
bool proc_self_descriptor_is(int fd, const char* kind);

/* Calls `visit` for every open descriptor. Descriptors that other threads open or close meanwhile may be
 * missed. False: the scan is incomplete. */
bool proc_self_each_descriptor(void (*visit)(int fd, void* context), void* context);

/* Calls `visit` for every thread of this process, likewise. */
bool proc_self_each_thread(void (*visit)(int thread, void* context), void* context);

/* The number of threads; -1: unknown. */
int proc_self_count_threads(void);

/* Calls `visit` for every visible process of the machine, likewise. */
bool proc_self_each_process(void (*visit)(int process, void* context), void* context);

/* State of another process. False: the process is gone. */
struct self_process {
  bool is_over; /* a zombie */
  pid_t parent;
  pid_t group;
  pid_t session;
};
bool proc_self_process_look(pid_t pid, struct self_process* process);

/* Calls `visit` with the link of each descriptor of another process, e.g. "socket:[123]". False, with errno:
 * not permitted, or the process is gone. */
bool proc_self_each_descriptor_of(pid_t pid, void (*visit)(const char* what, void* context), void* context);

/* Calls `visit` for every line of a file of /proc/self, without the newline; a line above 1 KiB comes in
 * pieces. False: the file was not read to the end. */
bool proc_self_each_line(const char* path, void (*visit)(const char* line, void* context), void* context);

/* The number behind `name` at the start of a line in a file of /proc/self, e.g. "SigBlk:" in "status". False:
 * not found, or the file is gone. */
bool proc_self_number(const char* path, const char* name, int base, unsigned long long* number);

/* State of the main thread. False: unknown. */
struct proc_self_status {
  bool is_over;               /* the main thread has ended, others go on */
  bool is_filtered;           /* a seccomp filter is active */
  unsigned long long blocked; /* blocked signals; signal 1 is the lowest bit */
};
bool proc_self_status(struct proc_self_status* status);

/* UNKNOWN: the kernel hides system calls of a process that has changed user. RUNNING: the thread is on a CPU
 * or waits for one, in user code or while entering or leaving a system call. */
enum { SELF_CALL_RUNNING = -3, SELF_CALL_UNKNOWN = -2, SELF_CALL_NONE = -1 };

/* The number of the system call that the thread is in, or one of the above; `*first_argument` is set for a
 * number. */
long proc_self_call(int thread, unsigned long* first_argument);

#endif
