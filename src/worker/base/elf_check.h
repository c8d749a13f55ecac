#ifndef LIVESWAP_WORKER_BASE_ELF_CHECK_H
#define LIVESWAP_WORKER_BASE_ELF_CHECK_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Whether the file is a shared library of this machine, whole, before dlopen maps it: the loader's own words
 * for what is wrong name neither what it found nor what it expected, and it loads a file that is cut short
 * and dies of SIGBUS. On false `why` has what was found and what was expected, without the path.
 */
bool elf_check(int fd, char* why, size_t why_size);

#endif
