#ifndef LIVESWAP_WORKER_BASE_OPTIONS_H
#define LIVESWAP_WORKER_BASE_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "launch/resolve.h"

enum intercept { INTERCEPT_LIBC, INTERCEPT_SECCOMP };

/* What happens to idle connections when the application does not drain by itself. HTTP: those that were seen
 * to speak HTTP/1.x are handed off, others are ended. */
enum keepalive { KEEPALIVE_END, KEEPALIVE_MIGRATE, KEEPALIVE_KEEP, KEEPALIVE_HTTP };

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
  int64_t heartbeat_ms;         /* 0: the master wants none */
  bool keepalive_is_given;      /* else by kind: END for a plugin, HTTP for a program or script */
  bool is_program;              /* this process is the program itself, with the hook (hook.c) */
  bool awaits_nothing;          /* a program may be ready without a listener */
  struct launch_options launch; /* what starts the release */
  char* as;                     /* argv[0] of a program; NULL: its path in the store */
  char* words;                  /* a copy of LIVESWAP_WORKER_VARIABLE, for the hook; NULL: none */
  /* of a pre-upgrade plugin */
  char* value;
};

/* False when the command line is not one that a master writes. Modifies argv and the environment. */
bool options_parse(struct options* options, int argc, char** argv);

/* The same for a worker, with the text of LIVESWAP_WORKER_VARIABLE, which is modified and kept. `argv[0]`:
 * the path of the release. */
bool options_parse_text(struct options* options, char* text, int argc, char** argv);

/* Whether the seccomp filter of --intercept seccomp is installed (interpose/seccomp.h). Any thread. */
bool options_seccomp_is_on(void);
void options_set_seccomp(bool is_on);

#endif
