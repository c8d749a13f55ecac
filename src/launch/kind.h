/*
 * The kinds of a release, told by the content of its file. Pure but for reading the file. The worker host and
 * the store use the same rule, so a release has one kind everywhere.
 *
 *   plugin   a shared library that liveswap-worker loads: an ELF file without an interpreter (PT_INTERP)
 *   program  an ELF file with one, which the kernel executes
 *   script   `#!`, or a name with a known ending: a runtime reads it
 *
 * A file that is none of these counts as a plugin, so that the worker host says what is wrong with it.
 */
#ifndef LIVESWAP_LAUNCH_KIND_H
#define LIVESWAP_LAUNCH_KIND_H

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

enum launch_kind {
  LAUNCH_PLUGIN,
  LAUNCH_PROGRAM,
  LAUNCH_SCRIPT,
  LAUNCH_UNCLEAR, /* a library that can be executed, as libc.so.6: only the user knows what is meant */
};

/* The kind of the open regular file `fd` with this name (a path, or its last part). Reads a few KiB by
 * pread(). */
enum launch_kind launch_kind_of(int fd, const char* name);

/* Whether the file is an ELF file, or has the name of a library: never a script without --kind. */
bool launch_is_library(int fd, const char* name);

/* What follows the last dot of the last part of the path; "" if there is no dot, or nothing before it. */
const char* launch_ending(const char* path);

/* The last part of a path. */
const char* launch_base_name(const char* path);

/* Copies the path in PT_INTERP into `text`. False: the file has none, or not of this machine's class. */
bool launch_interpreter(int fd, char* text, size_t room);

/* "plugin", "program" or "script" into `*kind`. False: another word. */
bool launch_kind_from_word(const char* word, enum launch_kind* kind);

#ifdef __cplusplus
}
#endif

#endif
