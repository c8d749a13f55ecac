/* A system call by no function of libc's, as Go and what is linked statically make them. At most four
 * arguments. */
#ifndef TEST_RAW_CALL_H
#define TEST_RAW_CALL_H

#include <sys/syscall.h>

/* Returns what the kernel does: a negative errno. */
static inline long raw_call(long number, long one, long two, long three, long four) {
#if defined __x86_64__
  long result;
  register long r10 __asm__("r10") = four;
  __asm__ volatile("syscall"
                   : "=a"(result)
                   : "a"(number), "D"(one), "S"(two), "d"(three), "r"(r10)
                   : "rcx", "r11", "memory");
  return result;
#elif defined __aarch64__
  register long x8 __asm__("x8") = number;
  register long x0 __asm__("x0") = one;
  register long x1 __asm__("x1") = two;
  register long x2 __asm__("x2") = three;
  register long x3 __asm__("x3") = four;
  __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3) : "memory");
  return x0;
#else
#error "no raw system calls for this processor yet"
#endif
}

#endif
