/*
 * The worker's end of the channel (contract/channel.h).
 *
 * Any thread sends; a packet is atomic. One receives: the control thread or, while there is none
 * (control/parking.h), who takes its place. A master that is gone, or does not read, never stops, blocks for
 * ever or kills the worker: what cannot be sent is lost, and the caller learns it.
 */
#ifndef LIVESWAP_WORKER_LINK_CHANNEL_H
#define LIVESWAP_WORKER_LINK_CHANNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "contract/channel.h"

/* Takes LIVESWAP_FD_CHANNEL and LIVESWAP_FD_LIFE over. False when no master has put a channel there. */
bool channel_adopt(void);

/* Borrowed; -1 in a child that the application has forked. */
int channel_fd(void);

/* Sends at once or not at all. `text` may be NULL; at most LIVESWAP_TEXT_MAX bytes. */
bool channel_try_send(struct liveswap_frame frame, const char* text, size_t size);

/* For frames that the master must not miss: waits for room, 5 s at the most. */
bool channel_send(struct liveswap_frame frame, const char* text, size_t size);

/* As channel_send, with a descriptor beside it, borrowed; -1 for none. */
bool channel_send_with(struct liveswap_frame frame, const void* text, size_t size, int fd);

/* As channel_try_send, with a descriptor likewise. False, with errno. */
bool channel_try_send_with(struct liveswap_frame frame, const void* text, size_t size, int fd);

/* By errno: what could not be sent can be when the master has read. */
bool channel_is_only_full(void);

void channel_send_value(enum liveswap_frame_kind kind, int32_t value);

/* Tells the master why and ends the process, without running anything of the application. */
_Noreturn void channel_fail(enum liveswap_stage stage, const char* format, ...)
    __attribute__((format(printf, 2, 3)));

enum channel_receipt { CHANNEL_FRAME, CHANNEL_NOTHING, CHANNEL_GONE };

/*
 * Receives one frame without blocking. `text` has room for LIVESWAP_TEXT_MAX bytes; what is larger, or
 * smaller than a frame, is CHANNEL_NOTHING. `fd` gets the descriptor that came with the frame, owned by the
 * caller, or -1; or CHANNEL_LOST, when this process could have no more.
 */
enum { CHANNEL_LOST = -2 };
enum channel_receipt channel_receive(struct liveswap_frame* frame, char* text, size_t* size, int* fd);

#endif
