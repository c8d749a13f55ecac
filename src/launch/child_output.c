#include "child_output.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <stdbool.h>
#include <sys/wait.h>
#include <unistd.h>

struct stream {
  int fd; /* -1: ended */
  char* text;
  size_t* size;
};

/* False: the stream has ended. */
static bool take(struct stream* stream, size_t room) {
  char rest[4096];
  const bool is_full = *stream->size + 1 >= room;
  const ssize_t size = is_full ? read(stream->fd, rest, sizeof rest)
                               : read(stream->fd, stream->text + *stream->size, room - 1 - *stream->size);
  if (size < 0) return errno == EINTR || errno == EAGAIN;
  if (!is_full) *stream->size += (size_t)size;
  stream->text[*stream->size] = '\0';
  return size > 0;
}

static void take_all(struct stream* streams, size_t room) {
  while (streams[0].fd >= 0 || streams[1].fd >= 0) {
    struct pollfd waited[2] = {{streams[0].fd, POLLIN, 0}, {streams[1].fd, POLLIN, 0}};
    if (poll(waited, 2, -1) <= 0) continue;
    for (int i = 0; i < 2; ++i) {
      if (waited[i].revents == 0 || take(&streams[i], room)) continue;
      close(streams[i].fd);
      streams[i].fd = -1;
    }
  }
}

static int start(pid_t* pid, const char* program, char* const* words, char* const* environment, int output,
                 int errors) {
  posix_spawn_file_actions_t actions;
  int error = posix_spawn_file_actions_init(&actions);
  if (error != 0) return error;
  error = posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  if (error == 0) error = posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
  if (error == 0) error = posix_spawn_file_actions_adddup2(&actions, errors, STDERR_FILENO);
  if (error == 0) error = posix_spawn_file_actions_addclosefrom_np(&actions, STDERR_FILENO + 1);
  if (error == 0) error = posix_spawn(pid, program, &actions, NULL, words, environment);
  posix_spawn_file_actions_destroy(&actions);
  return error;
}

int launch_child_output(const char* program, char* const* words, char* const* environment, char* output,
                        char* errors, size_t room) {
  int out[2];
  int err[2];
  size_t sizes[2] = {0, 0};
  pid_t pid = -1;
  int status = 0;
  output[0] = errors[0] = '\0';
  if (pipe2(out, O_CLOEXEC) != 0) return CHILD_NOT_STARTED;
  if (pipe2(err, O_CLOEXEC) != 0) {
    close(out[0]);
    close(out[1]);
    return CHILD_NOT_STARTED;
  }
  const int error = start(&pid, program, words, environment, out[1], err[1]);
  close(out[1]);
  close(err[1]);
  struct stream streams[2] = {{out[0], output, &sizes[0]},
                              {err[0], errors, output == errors ? &sizes[0] : &sizes[1]}};
  take_all(streams, room);
  errno = error;
  if (error != 0) return CHILD_NOT_STARTED;
  while (waitpid(pid, &status, 0) < 0)
    if (errno != EINTR) return CHILD_NOT_STARTED;
  return status;
}
