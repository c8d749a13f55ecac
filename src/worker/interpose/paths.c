/*
 * unlink, remove and rename of files of Unix listeners. The master holds the socket for all workers, so no
 * single worker may remove the file; a rename concerns all workers that have bound the path.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bind.h"
#include "worker/api/listeners.h"
#include "worker/api/readiness.h"
#include "worker/base/libc.h"
#include "worker/control/request.h"
#include "worker/takeover/forked_child.h"
#include "worker/takeover/lost_listener.h"

/* Whether the master may hold a listener at that path. Once the worker is ready, that is possible only if the
 * application has bound listeners. */
static bool may_be_held(const char* path) {
  return path != NULL && takeover_is_on() && (!readiness_is_shown() || listeners_bound());
}

/* True: `*result` is the call's result, with errno. The master keeps the file of a listener that it holds. */
static bool ask_to_unlink(const char* path, int* result) {
  struct stat found;
  char absolute[PATH_SIZE];
  if (!may_be_held(path)) return false;
  if (lstat(path, &found) != 0) {
    /* ENOENT is the result, without libc's unlink(): another worker may just have bound the path. */
    *result = -1;
    return errno == ENOENT;
  }
  if (!S_ISSOCK(found.st_mode) || !path_absolute(path, absolute)) return false;
  const struct request request = {
      .kind = LIVESWAP_UNLINK, .text = absolute, .size = strlen(absolute), .fd = -1};
  const int error = request_ask(&request, NULL);
  if (error == REQUEST_UNANSWERED) return false;
  errno = error;
  *result = error == 0 ? 0 : -1;
  return true;
}

/* Whether the path is a listener of this worker, or any socket: another worker may just have renamed the
 * listener. */
static bool is_listener(const char* path, const char* absolute) {
  struct stat found;
  if (listeners_at(absolute) != NULL) return true;
  return lstat(path, &found) == 0 && S_ISSOCK(found.st_mode);
}

/* True: `*result` is the call's result, with errno. */
static bool ask_to_rename(const char* from, const char* to, int* result) {
  char paths[2 * PATH_SIZE];
  char absolute[PATH_SIZE];
  int given = -1;
  if (!may_be_held(from) || to == NULL || forked_child_runs() || !listeners_bound()) return false;
  if (!path_absolute(from, paths) || !is_listener(from, paths) || !path_absolute(to, absolute)) return false;
  const struct listener* listener = listeners_at(paths);
  const size_t first = strlen(paths) + 1;
  memcpy(paths + first, absolute, strlen(absolute));
  const struct request request = {
      .kind = LIVESWAP_RENAME, .text = paths, .size = first + strlen(absolute), .fd = -1};
  int error = request_ask(&request, &given);
  if (error == REQUEST_UNANSWERED || error == LIVESWAP_STAYS_OWN) return false;
  if (error == 0 && given >= 0 && listener == NULL) error = EXDEV;
  if (error == 0 && given >= 0 && !lost_listener_renamed(listener, given)) error = errno;
  if (given >= 0) libc.close(given);
  errno = error;
  *result = error == 0 ? 0 : -1;
  return true;
}

static bool is_plain(int directory, const char* path) {
  return path != NULL && (directory == AT_FDCWD || path[0] == '/');
}

INTERPOSED int unlink(const char* path) {
  int result = 0;
  return ask_to_unlink(path, &result) ? result : libc.unlink(path);
}

INTERPOSED int unlinkat(int directory, const char* path, int flags) {
  int result = 0;
  const bool plain = flags == 0 && is_plain(directory, path);
  return plain && ask_to_unlink(path, &result) ? result : libc.unlinkat(directory, path, flags);
}

INTERPOSED int remove(const char* path) {
  int result = 0;
  return ask_to_unlink(path, &result) ? result : libc.remove(path);
}

INTERPOSED int rename(const char* from, const char* to) {
  int result = 0;
  return ask_to_rename(from, to, &result) ? result : libc.rename(from, to);
}

INTERPOSED int renameat(int from_directory, const char* from, int to_directory, const char* to) {
  int result = 0;
  const bool plain = is_plain(from_directory, from) && is_plain(to_directory, to);
  return plain && ask_to_rename(from, to, &result) ? result
                                                   : libc.renameat(from_directory, from, to_directory, to);
}

INTERPOSED int renameat2(int from_directory, const char* from, int to_directory, const char* to,
                         unsigned flags) {
  int result = 0;
  const bool plain = flags == 0 && is_plain(from_directory, from) && is_plain(to_directory, to);
  return plain && ask_to_rename(from, to, &result)
             ? result
             : libc.renameat2(from_directory, from, to_directory, to, flags);
}
