#ifndef LIVESWAP_WORKER_BASE_OPTIONS_H
#define LIVESWAP_WORKER_BASE_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

enum intercept { INTERCEPT_LIBC, INTERCEPT_SECCOMP };

/* What happens to idle connections when the application does not drain by itself. */
enum keepalive { KEEPALIVE_END, KEEPALIVE_MIGRATE, KEEPALIVE_KEEP };

enum mode { MODE_WORKER, MODE_PRE_UPGRADE, MODE_CHECK };

/* The command line of contract/channel.h. Every pointer is into argv or the environment. */
struct options {
  enum mode mode;
  char* path;
  char** arguments; /* from PATH on; arguments[count] is NULL */
  int argument_count;
  /* of a worker */
  int slot; /* -1 in the other modes */
  uint64_t generation;
  int64_t drain_limit_ms; /* -1: none */
  int64_t term_grace_ms;
  char* listeners; /* names, separated by commas */
  const char* entry;
  enum intercept intercept;
  enum keepalive keepalive;
  int64_t keepalive_grace_ms;
  int64_t heartbeat_ms; /* 0: the master wants none */
  /* of a pre-upgrade plugin */
  char* value;
};

/* False when the command line is not one that a master writes. Modifies argv and the environment. */
bool options_parse(struct options* options, int argc, char** argv);

/* Whether the seccomp filter of --intercept seccomp is installed (interpose/seccomp.h). Any thread. */
bool options_seccomp_is_on(void);
void options_set_seccomp(bool is_on);

#endif
