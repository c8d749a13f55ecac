/* As set_ioctl.c. */
#include <stdarg.h>

#include "worker/base/libc.h"

typedef int printer(int fd, const char* format, va_list values);

printer* send_test_set_vdprintf(printer* print);
printer* send_test_set_vdprintf(printer* print) {
  printer* const before = libc.vdprintf;
  libc.vdprintf = print;
  return before;
}
