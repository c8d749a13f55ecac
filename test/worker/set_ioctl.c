/* C++ does not understand the host's headers with atomics in them. */
#include "worker/takeover/real.h"

void takeover_set_ioctl(int (*ioctl)(int fd, unsigned long request, ...));
void takeover_set_ioctl(int (*ioctl)(int fd, unsigned long request, ...)) { real.ioctl = ioctl; }
