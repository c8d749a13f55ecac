#include "handoff.h"

bool handoff_try(int fd, const struct listener* listener, const struct tcp_info* info) {
  (void)fd;
  (void)listener;
  (void)info;
  return false;
}
