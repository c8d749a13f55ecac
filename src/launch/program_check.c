#include "program_check.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "kind.h"

/* The ELF header of this program or library, by the linker's name for it: a program that the hook is loaded
 * into must have the same class, byte order and machine. */
extern const ElfW(Ehdr) __ehdr_start __attribute__((visibility("hidden")));

enum { SEGMENTS_MAX = 256, DYNAMIC_MAX = 4096 };

struct file {
  int fd;
  const char* path;
  char* why;
  size_t why_size;
  ElfW(Ehdr) header;
  uint64_t names; /* the string table of the dynamic section: place in the file, and size */
  uint64_t names_size;
};

static __attribute__((format(printf, 2, 3))) bool refuse(const struct file* file, const char* format, ...) {
  va_list arguments;
  const int size = snprintf(file->why, file->why_size, "%s ", file->path);
  if (size < 0 || (size_t)size >= file->why_size) return false;
  va_start(arguments, format);
  vsnprintf(file->why + size, file->why_size - (size_t)size, format, arguments);
  va_end(arguments);
  return false;
}

static bool read_at(const struct file* file, uint64_t offset, void* to, size_t size) {
  return pread(file->fd, to, size, (off_t)offset) == (ssize_t)size;
}

static bool check_rights(const struct file* file) {
  struct stat status;
  if (fstat(file->fd, &status) != 0) return refuse(file, "cannot be examined: %s", strerror(errno));
  if ((status.st_mode & (S_ISUID | S_ISGID)) != 0)
    return refuse(file,
                  "is set-uid or set-gid (mode %04o): the kernel loads no hook into such a program; start "
                  "liveswap as the user that it needs, or with --user, and give it a copy without that bit",
                  (unsigned)status.st_mode & 07777U);
  if (fgetxattr(file->fd, "security.capability", NULL, 0) > 0)
    return refuse(file,
                  "has file capabilities: the kernel loads no hook into such a program; `setcap -r` takes "
                  "them away from a copy, and the master binds low ports for its workers "
                  "(--privileged-port)");
  return true;
}

static bool check_machine(struct file* file) {
  ElfW(Ehdr)* const header = &file->header;
  const unsigned char* const wanted = __ehdr_start.e_ident;
  unsigned char* const found = header->e_ident;
  if (!read_at(file, 0, found, EI_NIDENT) || memcmp(found, ELFMAG, SELFMAG) != 0)
    return refuse(file, "is no ELF file; expected a program");
  if (found[EI_CLASS] != wanted[EI_CLASS] || found[EI_DATA] != wanted[EI_DATA] ||
      !read_at(file, 0, header, sizeof *header) || header->e_machine != __ehdr_start.e_machine)
    return refuse(file,
                  "is built for another architecture: found %d bits, ELF machine %u; expected %d bits, "
                  "machine %u; give liveswap a build for this machine",
                  found[EI_CLASS] == ELFCLASS64 ? 64 : 32, (unsigned)header->e_machine,
                  wanted[EI_CLASS] == ELFCLASS64 ? 64 : 32, (unsigned)__ehdr_start.e_machine);
  return true;
}

static bool check_interpreter(const struct file* file) {
  char found[256];
  char own[256];
  if (!launch_interpreter(file->fd, found, sizeof found))
    return refuse(
        file,
        "is a program that is linked statically: no hook can be loaded into it; link it dynamically "
        "(without -static; Go: CGO_ENABLED=1 with -linkmode=external), or build it as a plugin");
  const int self = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
  const bool is_known = self >= 0 && launch_interpreter(self, own, sizeof own);
  if (self >= 0) close(self);
  if (is_known && strcmp(launch_base_name(found), launch_base_name(own)) != 0)
    return refuse(
        file,
        "is built for another C library: its loader is %s, expected %s; build it for this system, or "
        "install a build of liveswap for that C library",
        found, launch_base_name(own));
  return true;
}

static bool segment_at(const struct file* file, unsigned number, ElfW(Phdr) * segment) {
  return number < file->header.e_phnum && number < SEGMENTS_MAX &&
         read_at(file, file->header.e_phoff + number * sizeof *segment, segment, sizeof *segment);
}

static uint64_t place_of(const struct file* file, uint64_t address) {
  ElfW(Phdr) segment;
  for (unsigned i = 0; segment_at(file, i, &segment); ++i)
    if (segment.p_type == PT_LOAD && address >= segment.p_vaddr &&
        address - segment.p_vaddr < segment.p_filesz)
      return segment.p_offset + (address - segment.p_vaddr);
  return 0;
}

/* Calls `visit` for each entry of the dynamic section until it returns false, which is the result then. */
static bool each_dynamic(struct file* file, bool (*visit)(struct file* file, const ElfW(Dyn) * entry)) {
  ElfW(Phdr) segment;
  ElfW(Dyn) entry;
  unsigned at = 0;
  while (segment_at(file, at, &segment) && segment.p_type != PT_DYNAMIC) ++at;
  if (!segment_at(file, at, &segment)) return true;
  for (uint64_t i = 0; i < segment.p_filesz / sizeof entry && i < DYNAMIC_MAX; ++i) {
    if (!read_at(file, segment.p_offset + i * sizeof entry, &entry, sizeof entry) || entry.d_tag == DT_NULL)
      break;
    if (!visit(file, &entry)) return false;
  }
  return true;
}

static bool note_names(struct file* file, const ElfW(Dyn) * entry) {
  if (entry->d_tag == DT_STRTAB) file->names = place_of(file, entry->d_un.d_ptr);
  if (entry->d_tag == DT_STRSZ) file->names_size = entry->d_un.d_val;
  return true;
}

static bool refuse_sanitizer(const struct file* file, const char* name) {
  return refuse(file,
                "is built with a sanitizer (%s), which must start before all other code, and so before the "
                "hook: give liveswap a build without it; a plugin may be built with one",
                name);
}

static bool check_needed(struct file* file, const ElfW(Dyn) * entry) {
  static const char* const sanitizers[] = {"libasan.", "libtsan.",         "libhwasan.",
                                           "liblsan.", "libclang_rt.asan", "libclang_rt.tsan"};
  char name[64] = {0};
  if (entry->d_tag != DT_NEEDED || entry->d_un.d_val >= file->names_size) return true;
  if (pread(file->fd, name, sizeof name - 1, (off_t)(file->names + entry->d_un.d_val)) <= 0) return true;
  for (size_t i = 0; i < sizeof sanitizers / sizeof sanitizers[0]; ++i)
    if (strncmp(name, sanitizers[i], strlen(sanitizers[i])) == 0) return refuse_sanitizer(file, name);
  return true;
}

/* Whether the string table of the dynamic section has this name, so that a symbol may bear it. */
static bool has_name(const struct file* file, const char* name) {
  char bytes[16 * 1024];
  const size_t size = strlen(name) + 1;
  for (uint64_t at = 0; at + size <= file->names_size;) {
    const uint64_t left = file->names_size - at;
    const size_t room = left < sizeof bytes ? (size_t)left : sizeof bytes;
    if (!read_at(file, file->names + at, bytes, room)) return false;
    if (memmem(bytes, room, name, size) != NULL) return true;
    if (room <= size) return false;
    at += room - size;
  }
  return false;
}

/* The function that starts a sanitizer names it, also where its library is linked into the program. */
static bool check_names(struct file* file) {
  static const char* const starts[] = {"__asan_init", "__tsan_init", "__msan_init", "__hwasan_init",
                                       "__lsan_init"};
  each_dynamic(file, note_names);
  if (file->names == 0) return true;
  if (!each_dynamic(file, check_needed)) return false;
  for (size_t i = 0; i < sizeof starts / sizeof starts[0]; ++i)
    if (has_name(file, starts[i])) return refuse_sanitizer(file, starts[i]);
  if (has_name(file, "__libc_start_main")) return true;
  return refuse(
      file,
      "does not start by libc's __libc_start_main(), where the hook takes over: it brings a start of "
      "its own (Go: build with -ldflags=-linkmode=external)");
}

bool launch_check_rights(int fd, const char* path, char* why, size_t why_size) {
  const struct file file = {.fd = fd, .path = path, .why = why, .why_size = why_size};
  return check_rights(&file);
}

bool launch_check_program(const char* path, char* why, size_t why_size) {
  struct file file = {.path = path, .why = why, .why_size = why_size};
  file.fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
  if (file.fd < 0) return refuse(&file, "cannot be opened: %s", strerror(errno));
  const bool is_fit =
      check_rights(&file) && check_machine(&file) && check_interpreter(&file) && check_names(&file);
  close(file.fd);
  return is_fit;
}

bool launch_check_trust(const char* path, char* why, size_t why_size) {
  struct stat status;
  const struct file file = {.path = path, .why = why, .why_size = why_size};
  if (geteuid() != 0 || stat(path, &status) != 0) return true;
  if (status.st_uid == 0 && (status.st_mode & (S_IWGRP | S_IWOTH)) == 0) return true;
  return refuse(
      &file,
      "belongs to user %u and has mode %04o, expected root and no other writer: these workers run as "
      "root; set --user, or `chown root` and `chmod go-w` it",
      (unsigned)status.st_uid, (unsigned)status.st_mode & 07777U);
}
