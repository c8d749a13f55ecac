#pragma once

#include <fcntl.h>
#include <unistd.h>

namespace liveswap {

// Opens /dev/null as standard input, output and error where they are closed. Otherwise the next file opened
// would get one of these numbers, and with it the text meant for people. Call it before anything is opened.
inline void fill_standard_descriptors() {
  int fd = 0;
  do fd = ::open("/dev/null", O_RDWR);
  while (fd >= 0 && fd <= STDERR_FILENO);
  if (fd > STDERR_FILENO) ::close(fd);
}

}  // namespace liveswap
