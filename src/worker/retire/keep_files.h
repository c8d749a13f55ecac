/*
 * Keeps the files of Unix listeners while the application's SIGTERM handler runs. Such a handler often
 * removes the socket's path, by which clients find the successors.
 *
 * The worker host sees unlink() (interpose/paths.c), but not a program that the handler starts. The master
 * makes the file again some hundred microseconds later (inotify), and clients that connect meanwhile fail. So
 * the control thread, which has nothing else to do, waits for removals and links each file again from the
 * second link that the master keeps. Hardly any client connects in the moment between.
 */
#ifndef LIVESWAP_WORKER_RETIRE_KEEP_FILES_H
#define LIVESWAP_WORKER_RETIRE_KEEP_FILES_H

/* For the control thread, after SIGTERM was sent: blocks for 300 ms, or returns at once if there is no Unix
 * listener. */
void keep_files(void);

#endif
