/* cpu-time PID…: prints the CPU time of each process, all its threads, in nanoseconds; 0 for one that has
 * ended. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

int main(int argc, char** argv) {
  for (int i = 1; i < argc; ++i) {
    clockid_t clock;
    struct timespec time = {0, 0};
    if (clock_getcpuclockid(atoi(argv[i]), &clock) == 0) clock_gettime(clock, &time);
    printf("%lld\n", time.tv_sec * 1000000000LL + time.tv_nsec);
  }
}
