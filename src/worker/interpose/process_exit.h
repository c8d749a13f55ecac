/* Programs that put themselves into the background. The worker is the process that liveswap waits for: it
 * must stay. */
#ifndef LIVESWAP_WORKER_INTERPOSE_PROCESS_EXIT_H
#define LIVESWAP_WORKER_INTERPOSE_PROCESS_EXIT_H

/*
 * The application is about to leave with that status: does not return when it was not ready, nobody has asked
 * it to leave, and what it forked goes on in its place.
 */
void process_exit_refuse_daemon(int status);

#endif
