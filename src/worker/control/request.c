#include "request.h"

#include <pthread.h>

#include "parking.h"
#include "worker/base/clock.h"
#include "worker/base/libc.h"
#include "worker/link/channel.h"
#include "worker/link/open_requests.h"

enum { ANSWER_LIMIT_MS = 10 * 1000 };

int request_ask(const struct request* request, int* given) {
  struct open_request waiting = {.error = REQUEST_UNANSWERED, .fd = -1};
  if (channel_fd() < 0) return REQUEST_UNANSWERED;
  /* The open request is on this thread's stack: a cancelled thread must not leave it in the list. */
  int cancel = 0;
  pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel);
  open_requests_add(&waiting);
  const struct liveswap_frame frame = {request->kind, waiting.number, request->count};
  /* The control thread receives the answer, and does not park while a request is open. */
  const bool is_sent =
      control_thread_unpark() && channel_send_with(frame, request->text, request->size, request->fd);
  open_requests_wait(&waiting, is_sent ? clock_ms() + ANSWER_LIMIT_MS : 0);
  pthread_setcancelstate(cancel, NULL);
  if (given != NULL) *given = waiting.fd;
  else if (waiting.fd >= 0) libc.close(waiting.fd);
  return waiting.error;
}
