/* Finds programs as a shell does, and reads `#!` lines. */
#ifndef LIVESWAP_LAUNCH_FIND_PROGRAM_H
#define LIVESWAP_LAUNCH_FIND_PROGRAM_H

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Writes the absolute path of an executable file with that name in $PATH (without that variable: in
 * /usr/local/bin, /usr/bin and /bin). A name with a slash must be an absolute path. False: none. */
bool launch_find_program(const char* name, char* path, size_t room);

/* The words of a `#!` line: the interpreter and at most one argument, as the kernel takes them. With
 * `/usr/bin/env [-S] NAME …` the words behind env, split at blanks, so words[0] may be a name without a
 * slash. `line` is modified, and holds the words. Returns the number of words, at most `most`; 0: none. */
size_t launch_split_shebang(char* line, char** words, size_t most);

/* Reads the first line of the file if it begins with `#!`; without these two characters. False: it has
 * none. */
bool launch_read_shebang(const char* path, char* line, size_t room);

#ifdef __cplusplus
}
#endif

#endif
