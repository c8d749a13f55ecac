/* The least that a worker can be: bare-worker LIBRARY loads the library, finds its entry, says so by a byte
 * on descriptor 0, then returns each byte that it gets, and exits at the end of file. */
#include <dlfcn.h>
#include <stdio.h>
#include <unistd.h>

int main(int argc, char** argv) {
  void* library = argc == 2 ? dlopen(argv[1], RTLD_NOW | RTLD_LOCAL) : NULL;
  if (library == NULL || dlsym(library, "main") == NULL) {
    fputs("bare-worker: cannot load the library\n", stderr);
    return 1;
  }
  char byte = 'r';
  do {
    if (write(0, &byte, 1) != 1) return 1;
  } while (read(0, &byte, 1) == 1);
  return 0;
}
