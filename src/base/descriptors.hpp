#pragma once

#include <fcntl.h>
#include <unistd.h>

namespace liveswap {

// Fills the places of standard input, output and error where a process was started without them: the next
// file opened would otherwise become one of them, and get what is meant for people. Call it before anything
// is opened.
inline void fill_standard_descriptors() {
  int fd = 0;
  do fd = ::open("/dev/null", O_RDWR);
  while (fd >= 0 && fd <= STDERR_FILENO);
  if (fd > STDERR_FILENO) ::close(fd);
}

}  // namespace liveswap
