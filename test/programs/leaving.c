/* Says why, and ends. */
#include <stdio.h>

int main(void) {
  fputs("I cannot go on\n", stderr);
  return 3;
}
