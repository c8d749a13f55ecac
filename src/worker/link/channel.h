/*
 * The worker's end of the channel (contract/channel.h).
 *
 * Any thread may send; each packet is atomic. The control thread alone receives; while the control thread is
 * parked (control/parking.h), frames wait in the channel. A master that is dead or does not read neither ends
 * the process nor blocks a thread for long: a frame that cannot be sent is lost, and the send function says
 * so.
 */
#ifndef LIVESWAP_WORKER_LINK_CHANNEL_H
#define LIVESWAP_WORKER_LINK_CHANNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "contract/channel.h"

/* Takes over LIVESWAP_FD_CHANNEL and LIVESWAP_FD_LIFE. False: descriptor 3 is no channel. */
bool channel_adopt(void);

/* The channel's descriptor, borrowed; -1 in a forked child. */
int channel_fd(void);

/* Whether the master has the other end open. Async-signal-safe. */
bool channel_has_master(void);

/* Sends without blocking. `text` may be NULL; at most LIVESWAP_TEXT_MAX bytes. False, with errno. */
bool channel_try_send(struct liveswap_frame frame, const void* text, size_t size);

/* For frames that the master must get: blocks while the channel is full, 5 s at most. False, with errno. */
bool channel_send(struct liveswap_frame frame, const void* text, size_t size);

/* As channel_send, with a borrowed descriptor; -1: none. */
bool channel_send_with(struct liveswap_frame frame, const void* text, size_t size, int fd);

/* As channel_try_send, with a borrowed descriptor; -1: none. */
bool channel_try_send_with(struct liveswap_frame frame, const void* text, size_t size, int fd);

/* After a failed send, by errno: whether a later try can succeed. */
bool channel_is_only_full(void);

void channel_send_value(enum liveswap_frame_kind kind, int32_t value);

/* Sends a FAILED frame with this text and ends the process by _exit(), without running code of the
 * application. */
_Noreturn void channel_fail(enum liveswap_stage stage, const char* format, ...)
    __attribute__((format(printf, 2, 3)));

enum channel_receipt { CHANNEL_FRAME, CHANNEL_NOTHING, CHANNEL_GONE };

/*
 * Receives one frame without blocking. `text` has room for LIVESWAP_TEXT_MAX bytes. A packet of a wrong size
 * is dropped (CHANNEL_NOTHING). `*fd` is the descriptor that came with the frame, owned by the caller; -1:
 * none; CHANNEL_LOST: this process has no free descriptor for it. CHANNEL_GONE: the master is gone.
 */
enum { CHANNEL_LOST = -2 };
enum channel_receipt channel_receive(struct liveswap_frame* frame, char* text, size_t* size, int* fd);

#endif
