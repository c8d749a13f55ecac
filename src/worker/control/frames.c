#include "frames.h"

#include <stdatomic.h>
#include <string.h>

#include "liveswap_plugin.h"
#include "worker/api/drain.h"
#include "worker/api/holds.h"
#include "worker/base/libc.h"
#include "worker/link/channel.h"
#include "worker/link/inbox.h"
#include "worker/link/open_requests.h"
#include "worker/link/output.h"
#include "worker/retire/handoff_relay.h"
#include "worker/retire/orphan.h"
#include "worker/retire/retire.h"
#include "worker/takeover/adopted_connections.h"
#include "worker/takeover/connection_count.h"
#include "worker/takeover/descendants.h"
#include "worker/takeover/given_connections.h"
#include "worker/takeover/lost_listener.h"
#include "worker/takeover/revoke.h"

static const struct options* options;
static atomic_bool entered;

void frames_setup(const struct options* of_process) { options = of_process; }

static void drain(int64_t limit_ms, bool succeeded) {
  drain_order(limit_ms);
  holds_review();
  adopted_stop();
  /* Includes children made by vfork() or posix_spawn(). */
  if (descendants_may_be()) channel_send((struct liveswap_frame){.kind = LIVESWAP_FORKED}, NULL, 0);
  if (!drain_is_cooperative()) retire_begin(options, succeeded);
}

/* ADOPT, REPLACE: `fd` (owned; negative: lost on the way) is for the listener whose cookie is in `text`. */
static void take_socket(const struct liveswap_frame* frame, const char* text, size_t size, int fd) {
  const bool is_adopt = frame->kind == LIVESWAP_ADOPT;
  uint64_t cookie = 0;
  const bool is_check = is_adopt && frame->value < 0;
  if (fd < 0 && is_check) {
    adopted_refuse_check(frame->value, LIVESWAP_REFUSAL_NO_ROOM);
    return;
  }
  if (fd < 0) {
    liveswap_log(LIVESWAP_WARNING,
                 is_adopt
                     ? "lost a connection of the worker before: no descriptor was left for it (RLIMIT_NOFILE)"
                     : "no descriptor was left for the socket that replaces a listener (RLIMIT_NOFILE)");
  } else if (size != sizeof cookie) {
    libc.close(fd);
  } else {
    memcpy(&cookie, text, sizeof cookie);
    if (is_check) adopted_put_check(cookie, fd, frame->value);
    else if (is_adopt && !given_connections_add(fd)) libc.close(fd);
    else if (is_adopt) adopted_put(cookie, fd, (int64_t)frame->count);
    else lost_listener_replace(cookie, fd);
  }
}

/* `fd` is owned, or -1. */
static void serve_frame(const struct liveswap_frame* frame, const char* text, size_t size, int fd) {
  switch (frame->kind) {
    case LIVESWAP_ANSWER: open_requests_answered(frame->value, (int)frame->count, fd); return;
    case LIVESWAP_ADOPT:
    case LIVESWAP_REPLACE: take_socket(frame, text, size, fd); return;
    case LIVESWAP_DRAIN: drain(frame->value, (frame->count & LIVESWAP_DRAIN_SUCCEEDED) != 0); break;
    case LIVESWAP_REVOKE: revoke_listeners(); break;
    case LIVESWAP_MESSAGE:
      channel_send_value(inbox_put(text, size) ? LIVESWAP_TAKEN : LIVESWAP_REFUSED, frame->value);
      break;
    case LIVESWAP_COUNT: connection_count_answer(frame->value); break;
    default: break; /* a frame of a newer master */
  }
  if (fd >= 0) libc.close(fd);
}

bool frames_serve(void) {
  static char text[LIVESWAP_TEXT_MAX];
  struct liveswap_frame frame;
  size_t size = 0;
  int fd = -1;
  switch (channel_receive(&frame, text, &size, &fd)) {
    case CHANNEL_FRAME: serve_frame(&frame, text, size, fd); return true;
    case CHANNEL_NOTHING: return true;
    case CHANNEL_GONE: break;
  }
  if (!atomic_load(&entered)) libc._exit(LIVESWAP_EXIT_LOAD);
  output_abandoned();
  open_requests_give_up();
  handoff_give_up();
  orphan_begin(options->drain_limit_ms, options->term_grace_ms);
  if (!drain_is_cooperative()) retire_begin(options, false);
  return false;
}

void frames_entered(void) { atomic_store(&entered, true); }
