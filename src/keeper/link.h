/* Frames of contract/keeper.h: sending and receiving. */
#ifndef LIVESWAP_KEEPER_LINK_H
#define LIVESWAP_KEEPER_LINK_H

#include <stdbool.h>
#include <stddef.h>

#include "contract/keeper.h"

struct packet {
  struct liveswap_keeper_frame frame;
  char text[LIVESWAP_KEEPER_TEXT_MAX];
  size_t size;                              /* of the text */
  int fds[LIVESWAP_KEEPER_DESCRIPTORS_MAX]; /* owned by the caller */
  size_t fd_count;
  bool is_cut; /* descriptors were lost */
};

enum receipt { RECEIVED, NOTHING, GONE };

/* Receives one packet without blocking. A packet of a wrong size is dropped, with its descriptors: NOTHING.
 */
enum receipt link_receive(int link, struct packet* packet);

/* Blocks for as long as SO_SNDTIMEO allows. False, with errno. The descriptors are borrowed. */
bool link_send(int link, struct liveswap_keeper_frame frame, const void* text, size_t size, const int* fds,
               size_t fd_count);

#endif
