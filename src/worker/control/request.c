#include "request.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>

#include "parking.h"
#include "wakeup_signal.h"
#include "worker/base/clock.h"
#include "worker/base/libc.h"
#include "worker/link/channel.h"
#include "worker/link/open_requests.h"

enum { ANSWER_LIMIT_MS = 10 * 1000 };

/* Without a control thread to receive the answer (parking.h): the thread receives it itself. */
static void receive_alone(const struct open_request* waiting, int64_t end) {
  sigset_t before;
  wakeup_signal_hold(&before);
  for (int64_t left = 0; control_thread_is_parked() && !waiting->done && (left = end - clock_ms()) > 0;) {
    struct pollfd answer = {channel_fd(), POLLIN, 0};
    libc.poll(&answer, 1, (int)left);
    if (!safe_point_look()) break;
  }
  /* What has come meanwhile. */
  wakeup_signal_forget();
  safe_point_look();
  wakeup_signal_release(&before);
  control_thread_await_readiness();
}

int request_ask(const struct request* request, int* given) {
  struct open_request waiting = {.error = REQUEST_UNANSWERED, .fd = -1};
  if (channel_fd() < 0) return REQUEST_UNANSWERED;
  /* A thread that is cancelled must not leave what lies on its stack in the list. */
  int cancel = 0;
  pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel);
  open_requests_add(&waiting);
  const struct liveswap_frame frame = {request->kind, waiting.number, request->count};
  const bool sent = channel_send_with(frame, request->text, request->size, request->fd);
  const int64_t end = clock_ms() + ANSWER_LIMIT_MS;
  /* The control thread looks into the list after it has said that it is parked. */
  if (sent && atomic_load(&control_thread_parked)) receive_alone(&waiting, end);
  open_requests_wait(&waiting, sent && !control_thread_is_parked() ? end : 0);
  pthread_setcancelstate(cancel, NULL);
  if (given != NULL)
    *given = waiting.fd;
  else if (waiting.fd >= 0)
    libc.close(waiting.fd);
  return waiting.error;
}
