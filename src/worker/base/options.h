#ifndef LIVESWAP_WORKER_BASE_OPTIONS_H
#define LIVESWAP_WORKER_BASE_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

enum intercept { INTERCEPT_LIBC, INTERCEPT_SECCOMP };

/* What becomes of idle connections in a drain that the application does not make itself. */
enum keepalive { KEEPALIVE_END, KEEPALIVE_MIGRATE, KEEPALIVE_KEEP };

enum mode { MODE_WORKER, MODE_HOOK, MODE_CHECK };

/* The command line that contract/channel.h describes. Every pointer is into argv, or into the environment. */
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
  char* listeners; /* names, parted by commas */
  const char* entry;
  enum intercept intercept;
  enum keepalive keepalive;
  int64_t keepalive_grace_ms;
  /* of a hook */
  char* value;
};

/* False when the line is not one that a master writes. */
bool options_parse(struct options* options, int argc, char** argv);

/* Whether the filter of --intercept seccomp is on (interpose/seccomp.h). Any thread. */
bool options_seccomp_is_on(void);
void options_set_seccomp(bool is_on);

#endif
