/*
 * An old worker's handler of SIGTERM often removes the path of its Unix socket, by which clients find its
 * successors. unlink() is seen (interpose/paths.c); a program that the handler starts is not. The master
 * makes the file again (inotify), some hundred microseconds later; a client that connects meanwhile finds
 * none. While the handler runs, the control thread has nothing else to do: so it tries without a pause to
 * link each file again from the second name that the master has given it. That fails as long as the file is
 * there, and the moment in which it is not is too short for nearly every client.
 */
#ifndef LIVESWAP_WORKER_RETIRE_KEEP_FILES_H
#define LIVESWAP_WORKER_RETIRE_KEEP_FILES_H

/* For the control thread of a worker that has been sent SIGTERM: returns at once where it has no Unix
 * listener, else after 300 ms, if the process lives so long. */
void keep_files(void);

#endif
