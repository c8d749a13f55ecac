#pragma once

#include <fcntl.h>
#include <sys/resource.h>
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

// Raises the soft limit of open descriptors to the hard limit, for the lifetime of the object. A master needs
// three descriptors for each worker, six during an upgrade, and one for each listening socket; the usual soft
// limit of 1024 would be too low. Workers are started with the earlier limit, before().
class ManyDescriptors {
 public:
  ManyDescriptors() {
    ::getrlimit(RLIMIT_NOFILE, &before_);
    const rlimit all{before_.rlim_max, before_.rlim_max};
    ::setrlimit(RLIMIT_NOFILE, &all);
  }
  ManyDescriptors(const ManyDescriptors&) = delete;
  ManyDescriptors& operator=(const ManyDescriptors&) = delete;
  ~ManyDescriptors() { ::setrlimit(RLIMIT_NOFILE, &before_); }
  const rlimit& before() const { return before_; }

 private:
  rlimit before_{};
};

}  // namespace liveswap
