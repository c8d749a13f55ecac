/*
 * The protocol between a master, liveswap-keeper, and the next master or a client.
 *
 * The keeper holds what a master needs to go on where a killed one has stopped: duplicates of the
 * descriptors, and the state (docs/explanation/killed-master.md). Every connection is SOCK_SEQPACKET: the
 * master's is one half of a socketpair; others connect to LIVESWAP_KEEPER_SOCKET in the state directory. One
 * packet is one frame: a struct liveswap_keeper_frame, followed by text. Both ends check the other's user
 * (SO_PEERCRED).
 *
 * Plain C, shared by the C++ master and the C keeper. This file is not part of the contract with
 * applications.
 */
#ifndef LIVESWAP_CONTRACT_KEEPER_H
#define LIVESWAP_CONTRACT_KEEPER_H

#include <stdint.h>

/* A keeper may be older or newer than the next master: a frame changes neither number nor content. */

#define LIVESWAP_KEEPER_SOCKET "keeper.sock" /* mode 0600 */

/* Where the keeper finds the master's connection after exec. Descriptors 1 and 2 are the master's standard
 * output and error. */
enum { LIVESWAP_KEEPER_LINK = 3 };

enum {
  LIVESWAP_KEEPER_DESCRIPTORS_MAX = 250, /* in one frame; the kernel's limit is 253 */
  LIVESWAP_KEEPER_TEXT_MAX = 64 * 1024,
};

enum liveswap_keeper_kind {
  /* A part of the descriptors that the next STATE names, in its order. count: 1: the first part; parts of a
   * state that was not completed are forgotten. */
  LIVESWAP_KEEPER_DESCRIPTORS = 1,
  /* descriptor: a sealed memory file with the state (docs/reference/state-file.md). count: the number of
   * descriptors that came before it; from now on these are the state, and the former ones are closed. value:
   * from a master: how long the keeper waits for the next one, in ms, -1: without a limit. From a keeper: how
   * long it waits still. text: struct liveswap_keeper_output … */
  LIVESWAP_KEEPER_STATE,
  /* From a master that ends as it was told to: the keeper closes everything and exits. The end of the
   * connection without this frame means that the master was killed. From a keeper: the answer to LEAVE. */
  LIVESWAP_KEEPER_END,
  /* From a keeper: a state was refused, because descriptors were missing (RLIMIT_NOFILE). */
  LIVESWAP_KEEPER_REFUSED,

  /* The first frame of a connection to the socket. */
  LIVESWAP_KEEPER_ADOPT, /* from the next master, which gets DESCRIPTORS … and STATE, and is the master then
                          */
  LIVESWAP_KEEPER_LOOK,  /* from a client, which gets STATE without DESCRIPTORS */
  LIVESWAP_KEEPER_LEAVE, /* from a client: as END, so that the workers drain */
};

struct liveswap_keeper_frame {
  uint32_t kind;
  uint32_t count;
  int64_t value;
};

/* A pipe that workers write to. Without a master the keeper passes what comes on, so that no worker blocks.
 */
struct liveswap_keeper_output {
  uint32_t reader; /* a place among the descriptors, from 0 */
  uint32_t target; /* the same, or one of: */
};
#define LIVESWAP_KEEPER_STDOUT UINT32_MAX
#define LIVESWAP_KEEPER_STDERR (UINT32_MAX - 1)

#endif
