/* daemon, setsid and exit: detects applications that put themselves into the background. The worker must stay
 * the process that serves. */
#ifndef LIVESWAP_WORKER_INTERPOSE_PROCESS_EXIT_H
#define LIVESWAP_WORKER_INTERPOSE_PROCESS_EXIT_H

/*
 * Called before the application exits with `status`. Ends the worker with an error if the worker was not
 * ready, was not told to drain, and a child goes on as a daemon.
 */
void process_exit_refuse_daemon(int status);

#endif
