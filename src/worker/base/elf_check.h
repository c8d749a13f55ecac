#ifndef LIVESWAP_WORKER_BASE_ELF_CHECK_H
#define LIVESWAP_WORKER_BASE_ELF_CHECK_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Whether `fd` is a complete shared library for this machine. Called before dlopen(), which dies of SIGBUS on
 * a truncated file and reports neither what was found nor what was expected. On false, `why` says both,
 * without the path. Reads at most a few KiB.
 */
bool elf_check(int fd, char* why, size_t why_size);

#endif
