/* C++ does not understand the host's headers with atomics in them. */
#include "worker/base/libc.h"

void takeover_set_ioctl(int (*ioctl)(int fd, unsigned long request, ...));
void takeover_set_ioctl(int (*ioctl)(int fd, unsigned long request, ...)) { libc.ioctl = ioctl; }
