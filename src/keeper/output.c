#include "keeper/output.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <unistd.h>

#include "keeper/held.h"

enum { PAUSE_MS = 100 };

/* A pipe that reports room takes PIPE_BUF bytes without blocking; a terminal that is stopped reports none. A
 * broken target reports an error, and the bytes are lost. */
static bool takes(int target) {
  struct pollfd room = {target, POLLOUT, 0};
  return poll(&room, 1, 0) != 0;
}

size_t output_polls(struct pollfd* polls, size_t room, int* pause_ms) {
  const struct held_output* outputs = NULL;
  const size_t count = held_outputs(&outputs);
  size_t used = 0;
  for (size_t i = 0; i < count && used < room; ++i) {
    if (takes(outputs[i].target)) polls[used++] = (struct pollfd){outputs[i].reader, POLLIN, 0};
    else *pause_ms = PAUSE_MS;
  }
  return used;
}

static int target_of(int reader) {
  const struct held_output* outputs = NULL;
  const size_t count = held_outputs(&outputs);
  for (size_t i = 0; i < count; ++i)
    if (outputs[i].reader == reader) return outputs[i].target;
  return -1;
}

static void pass_on(int reader) {
  char bytes[PIPE_BUF];
  const int target = target_of(reader);
  if (target < 0 || !takes(target)) return;
  const ssize_t size = read(reader, bytes, sizeof bytes);
  for (ssize_t done = 0; done < size;) {
    const ssize_t written = write(target, bytes + done, (size_t)(size - done));
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return;
    done += written;
  }
}

void output_pass_on(const struct pollfd* polls, size_t count) {
  for (size_t i = 0; i < count; ++i)
    if ((polls[i].revents & POLLIN) != 0) pass_on(polls[i].fd);
    /* Every writer has gone: poll() would report that again and again. */
    else if (polls[i].revents != 0) held_forget_output(polls[i].fd);
}
