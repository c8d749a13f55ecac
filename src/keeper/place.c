#include "keeper/place.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "contract/keeper.h"

/* A peer that does not read for so long is given up. */
enum { SEND_LIMIT_S = 2 };

static int directory = -1;
static int listening = -1;
static struct stat own;

/* By a relative name: the path of a state directory may be longer than a socket's address. */
bool place_open(const char* state_dir) {
  const struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = LIVESWAP_KEEPER_SOCKET};
  directory = open(state_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (directory < 0 || fchdir(directory) != 0) return false;
  if (unlink(LIVESWAP_KEEPER_SOCKET) != 0 && errno != ENOENT) return false;
  listening = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  umask(0177);
  const bool is_open = listening >= 0 &&
                       bind(listening, (const struct sockaddr*)&address, sizeof address) == 0 &&
                       lstat(LIVESWAP_KEEPER_SOCKET, &own) == 0 && listen(listening, 8) == 0;
  const int error = errno;
  /* The working directory must not keep a file system busy. */
  if (chdir("/") != 0) return false;
  errno = error;
  return is_open;
}

int place_socket(void) { return listening; }

void place_remove(void) {
  struct stat found;
  if (fstatat(directory, LIVESWAP_KEEPER_SOCKET, &found, AT_SYMLINK_NOFOLLOW) == 0 &&
      found.st_dev == own.st_dev && found.st_ino == own.st_ino)
    unlinkat(directory, LIVESWAP_KEEPER_SOCKET, 0);
}

int place_accept(void) {
  struct ucred peer;
  socklen_t size = sizeof peer;
  const struct timeval limit = {.tv_sec = SEND_LIMIT_S};
  const int guest = accept4(listening, NULL, NULL, SOCK_CLOEXEC);
  if (guest < 0) return -1;
  if (getsockopt(guest, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 && peer.uid == geteuid() &&
      setsockopt(guest, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit) == 0)
    return guest;
  close(guest);
  return -1;
}
