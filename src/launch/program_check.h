/* Whether the hook can be loaded into a program (docs/explanation/hook.md). */
#ifndef LIVESWAP_LAUNCH_PROGRAM_CHECK_H
#define LIVESWAP_LAUNCH_PROGRAM_CHECK_H

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* False: it is linked statically, for another machine or libc, set-uid, has file capabilities, has a
 * sanitizer whose library must come first, or does not start by libc's __libc_start_main(). `why` is a
 * sentence with the path, what is wrong and what to do. Reads parts of the file. */
bool launch_check_program(const char* path, char* why, size_t why_size);

/* The part about rights, for an open file, which also holds for a copy's original. */
bool launch_check_rights(int fd, const char* path, char* why, size_t why_size);

/* For a process that is root: false if another user may change the file. */
bool launch_check_trust(const char* path, char* why, size_t why_size);

#ifdef __cplusplus
}
#endif

#endif
