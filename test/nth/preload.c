/* Preloaded into a master: makes the n-th call fail that board.h describes. The master's children do not
 * preload this library, since the master removes the loader's variables. Between clone() and execve() a child
 * shares the master's memory, and its calls count as the master's. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "preload.h"

static struct board* board;

__attribute__((constructor)) static void find_board(void) {
  const char* path = getenv("NTH_BOARD");
  if (!path) return;
  int fd = (int)syscall_unseen(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC);
  if (fd < 0) return;
  struct board* found =
      (struct board*)syscall_unseen(SYS_mmap, NULL, sizeof *found, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  syscall_unseen(SYS_close, fd);
  int32_t nobody = 0;
  if ((intptr_t)found > 0 && __atomic_compare_exchange_n(&found->pid, &nobody, (int32_t)getpid(), 0,
                                                         __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
    board = found;
}

int shall_fail(unsigned kind, const char* name) {
  if (!board || !__atomic_load_n(&board->armed, __ATOMIC_SEQ_CST) || !(board->kinds & kind)) return 0;
  const uint64_t number = __atomic_add_fetch(&board->seen, 1, __ATOMIC_SEQ_CST);
  if (number < board->first || number > board->last) return 0;
  if (__atomic_add_fetch(&board->failed, 1, __ATOMIC_SEQ_CST) == 1)
    snprintf(board->name, sizeof board->name, "%s", name);
  return 1;
}

int fail_with(int first, int second) {
  errno = board->errors == 0 ? first : second;
  return -1;
}

/* glibc's allocator under the names that a preloaded library does not replace. */
void* __libc_malloc(size_t);
void* __libc_calloc(size_t, size_t);
void* __libc_realloc(void*, size_t);
void* __libc_memalign(size_t, size_t);

static int no_memory(const char* name) {
  if (!shall_fail(BOARD_ALLOCATIONS, name)) return 0;
  errno = ENOMEM;
  return 1;
}

SEEN void* malloc(size_t size) { return no_memory("malloc") ? NULL : __libc_malloc(size); }
SEEN void* calloc(size_t count, size_t size) {
  return no_memory("calloc") ? NULL : __libc_calloc(count, size);
}
SEEN void* realloc(void* block, size_t size) {
  return no_memory("realloc") ? NULL : __libc_realloc(block, size);
}
SEEN void* memalign(size_t alignment, size_t size) {
  return no_memory("memalign") ? NULL : __libc_memalign(alignment, size);
}
SEEN void* aligned_alloc(size_t alignment, size_t size) {
  return no_memory("aligned_alloc") ? NULL : __libc_memalign(alignment, size);
}
SEEN int posix_memalign(void** block, size_t alignment, size_t size) {
  if (no_memory("posix_memalign")) return ENOMEM;
  *block = __libc_memalign(alignment, size);
  return *block ? 0 : ENOMEM;
}
