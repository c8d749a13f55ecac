#include "load.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "liveswap_plugin.h"
#include "worker/base/elf_check.h"
#include "worker/link/channel.h"

static const char* kind_of_file(mode_t mode) {
  switch (mode & S_IFMT) {
    case S_IFDIR: return "a directory";
    case S_IFIFO: return "a FIFO";
    case S_IFSOCK: return "a socket";
    case S_IFCHR:
    case S_IFBLK: return "a device";
    default: return "no regular file";
  }
}

/* O_NONBLOCK: opening a FIFO or a device must not block before fstat() has shown the file's kind. */
static int open_library(const char* path) {
  struct stat status;
  channel_send(
      (struct liveswap_frame){
          .kind = LIVESWAP_STAGED, .value = LIVESWAP_STAGE_OPEN, .count = LIVESWAP_CHANNEL_VERSION},
      NULL, 0);
  const int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
  if (fd < 0) channel_fail(LIVESWAP_STAGE_OPEN, "cannot open %s: %s", path, strerror(errno));
  if (fstat(fd, &status) != 0)
    channel_fail(LIVESWAP_STAGE_OPEN, "cannot examine %s: %s", path, strerror(errno));
  if (!S_ISREG(status.st_mode)) {
    channel_fail(LIVESWAP_STAGE_OPEN, "%s is %s; expected a regular file, a shared library", path,
                 kind_of_file(status.st_mode));
  }
  return fd;
}

static void* link_library(const char* path, int fd) {
  char why[256];
  /* Announced only after the check: so the master can tell a file that is no library from a library that does
   * not link. */
  if (!elf_check(fd, why, sizeof why)) channel_fail(LIVESWAP_STAGE_LINK, "%s %s", path, why);
  channel_send_value(LIVESWAP_STAGED, LIVESWAP_STAGE_LINK);
  close(fd);
  void* library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (library == NULL) channel_fail(LIVESWAP_STAGE_LINK, "%s", dlerror());
  return library;
}

/* The two usual mistakes: a program without --entry main; a C++ entry without the header, so that the name is
 * mangled. */
static const char* hint_for(void* library, const char* entry) {
  if (strcmp(entry, "main") != 0 && dlsym(library, "main") != NULL)
    return "; it has main: `--entry main` runs that";
  char mangled[64];
  snprintf(mangled, sizeof mangled, "_Z%zu%si", strlen(entry), entry);
  return dlsym(library, mangled) != NULL ? "; it has a C++ function of that name: declare it extern \"C\""
                                         : "";
}

/* Calling a variable of that name would end every worker with SIGSEGV. */
static bool is_variable(void* found) {
  Dl_info info;
  const ElfW(Sym)* symbol = NULL;
  return dladdr1(found, &info, (void**)&symbol, RTLD_DL_SYMENT) != 0 && symbol != NULL &&
         info.dli_saddr == found && ELF64_ST_TYPE(symbol->st_info) == STT_OBJECT;
}

static void* find_entry(void* library, const char* path, const char* entry) {
  channel_send_value(LIVESWAP_STAGED, LIVESWAP_STAGE_ENTRY);
  void* found = dlsym(library, entry);
  if (found == NULL) {
    channel_fail(LIVESWAP_STAGE_ENTRY, "%s does not export the function %s (liveswap_plugin.h)%s", path,
                 entry, hint_for(library, entry));
  }
  if (is_variable(found)) {
    channel_fail(LIVESWAP_STAGE_ENTRY, "%s exports %s as a variable; expected a function (liveswap_plugin.h)",
                 path, entry);
  }
  return found;
}

static uint32_t check_abi(void* library, const char* path) {
  channel_send_value(LIVESWAP_STAGED, LIVESWAP_STAGE_ABI);
  const struct liveswap_abi* note = dlsym(library, "liveswap_abi_note");
  if (note == NULL) return 0;
  if (note->size < sizeof *note) {
    channel_fail(LIVESWAP_STAGE_ABI, "%s has a damaged ABI note: found %u bytes, expected at least %zu", path,
                 (unsigned)note->size, sizeof *note);
  }
  if (note->major != LIVESWAP_ABI_MAJOR) {
    channel_fail(LIVESWAP_STAGE_ABI,
                 "%s is built for another contract: found %u.%u, expected %d.x; rebuild it with "
                 "this version's liveswap_plugin.h",
                 path, (unsigned)note->major, (unsigned)note->minor, LIVESWAP_ABI_MAJOR);
  }
  return note->flags;
}

struct loaded load(const char* path, const char* entry) {
  struct loaded loaded;
  loaded.library = link_library(path, open_library(path));
  void* function = find_entry(loaded.library, path, entry);
  /* ISO C has no cast from an object pointer to a function pointer; POSIX guarantees the same bits. */
  memcpy(&loaded.entry, &function, sizeof function);
  loaded.flags = check_abi(loaded.library, path);
  return loaded;
}
