#include "keep_files.h"

#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "contract/channel.h"
#include "worker/api/listeners.h"
#include "worker/base/clock.h"
#include "worker/base/fd_flags.h"
#include "worker/base/libc.h"
#include "worker/link/channel.h"

enum { LIMIT_MS = 300, POLL_EVERY_MS = 1, FILES_MAX = 8, PATH_SIZE = 256 };

struct file {
  char path[PATH_SIZE];
  char second_link[PATH_SIZE];
  bool is_reported;
};

static int find_files(struct file files[FILES_MAX]) {
  int found = 0;
  bool is_last = false;
  for (int i = 0; !is_last && found < FILES_MAX; ++i) {
    const char* const path = listeners_file(i, &is_last);
    if (path == NULL) continue;
    struct file* const file = &files[found];
    const char* const name = strrchr(path, '/') + 1;
    snprintf(file->path, sizeof file->path, "%s", path);
    snprintf(file->second_link, sizeof file->second_link,
             "%.*s" LIVESWAP_SPARE_BEFORE "%s" LIVESWAP_SPARE_AFTER, (int)(name - path), path, name);
    file->is_reported = false;
    if (access(file->second_link, F_OK) == 0 && access(file->path, F_OK) == 0) ++found;
  }
  return found;
}

/* An inotify descriptor, so that a file is missing for microseconds only; -1: poll without it. */
static int watch(const struct file* files, int count) {
  const int removals = host_fd(inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
  for (int i = 0; i < count; ++i) {
    char directory[PATH_SIZE];
    snprintf(directory, sizeof directory, "%.*s", (int)(strrchr(files[i].path, '/') + 1 - files[i].path),
             files[i].path);
    inotify_add_watch(removals, directory, IN_DELETE | IN_MOVED_FROM);
  }
  return removals;
}

/* Waits until a file was removed, 1 ms at most. */
static void wait_for_removal(int removals) {
  char events[1024];
  struct pollfd wait = {removals, POLLIN, 0};
  if (libc.poll(&wait, 1, POLL_EVERY_MS) > 0) (void)!libc.read(removals, events, sizeof events);
}

void keep_files(void) {
  static struct file files[FILES_MAX];
  /* Without a master there is no successor, and the application may remove its files. */
  const int count = channel_has_master() ? find_files(files) : 0;
  if (count == 0) return;
  const int64_t end = clock_ms() + LIMIT_MS;
  const int removals = watch(files, count);
  while (clock_ms() < end) {
    for (int i = 0; i < count; ++i) {
      if (link(files[i].second_link, files[i].path) != 0 || files[i].is_reported) continue;
      files[i].is_reported = true;
      channel_try_send((struct liveswap_frame){.kind = LIVESWAP_MENDED}, files[i].path,
                       strlen(files[i].path));
    }
    wait_for_removal(removals);
  }
  host_fd_close(removals);
}
