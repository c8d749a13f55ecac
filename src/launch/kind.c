#include "kind.h"

#include <elf.h>
#include <link.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "runtimes.h"

enum { SEGMENTS_MAX = 256, DYNAMIC_MAX = 4096 };

static bool read_at(int fd, uint64_t offset, void* to, size_t size) {
  return pread(fd, to, size, (off_t)offset) == (ssize_t)size;
}

const char* launch_base_name(const char* path) {
  const char* const slash = strrchr(path, '/');
  return slash != NULL ? slash + 1 : path;
}

const char* launch_ending(const char* path) {
  const char* const base = launch_base_name(path);
  const char* const dot = strrchr(base, '.');
  return dot != NULL && dot != base ? dot + 1 : "";
}

/* "libapp.so", "libapp.so.1.2" */
static bool is_named_as_library(const char* name) {
  const char* const at = strstr(launch_base_name(name), ".so");
  return at != NULL && at[3 + strspn(at + 3, ".0123456789")] == '\0';
}

static bool find_segment(int fd, const ElfW(Ehdr) * header, unsigned type, ElfW(Phdr) * segment) {
  if (header->e_phentsize != sizeof *segment) return false;
  for (unsigned i = 0; i < header->e_phnum && i < SEGMENTS_MAX; ++i) {
    if (!read_at(fd, header->e_phoff + i * sizeof *segment, segment, sizeof *segment)) return false;
    if (segment->p_type == type) return true;
  }
  return false;
}

/* A position-independent program has the ELF type of a library; the linker marks it with DF_1_PIE. */
static bool is_marked_as_program(int fd, const ElfW(Ehdr) * header) {
  ElfW(Phdr) segment;
  ElfW(Dyn) entry;
  if (!find_segment(fd, header, PT_DYNAMIC, &segment)) return false;
  const uint64_t count = segment.p_filesz / sizeof entry;
  for (uint64_t i = 0; i < count && i < DYNAMIC_MAX; ++i) {
    if (!read_at(fd, segment.p_offset + i * sizeof entry, &entry, sizeof entry) || entry.d_tag == DT_NULL)
      break;
    if (entry.d_tag == DT_FLAGS_1) return (entry.d_un.d_val & DF_1_PIE) != 0;
  }
  return false;
}

static bool read_header(int fd, ElfW(Ehdr) * header) {
  const uint16_t one = 1;
  const bool is_little = *(const unsigned char*)&one == 1;
  return read_at(fd, 0, header, sizeof *header) && memcmp(header->e_ident, ELFMAG, SELFMAG) == 0 &&
         header->e_ident[EI_CLASS] == (sizeof(void*) == 8 ? ELFCLASS64 : ELFCLASS32) &&
         header->e_ident[EI_DATA] == (is_little ? ELFDATA2LSB : ELFDATA2MSB);
}

/* An ELF file of another class counts as a plugin: the worker host then says what was found and expected. */
static enum launch_kind kind_of_elf(int fd) {
  ElfW(Ehdr) header;
  ElfW(Phdr) segment;
  if (!read_header(fd, &header)) return LAUNCH_PLUGIN;
  if (header.e_type == ET_EXEC) return LAUNCH_PROGRAM;
  if (header.e_type != ET_DYN) return LAUNCH_PLUGIN;
  if (is_marked_as_program(fd, &header)) return LAUNCH_PROGRAM;
  return find_segment(fd, &header, PT_INTERP, &segment) ? LAUNCH_UNCLEAR : LAUNCH_PLUGIN;
}

static bool begins_with(int fd, const char* text) {
  char head[SELFMAG];
  const size_t size = strlen(text);
  return pread(fd, head, size, 0) == (ssize_t)size && memcmp(head, text, size) == 0;
}

bool launch_is_library(int fd, const char* name) {
  return begins_with(fd, ELFMAG) || is_named_as_library(name);
}

enum launch_kind launch_kind_of(int fd, const char* name) {
  if (begins_with(fd, ELFMAG)) return kind_of_elf(fd);
  if (is_named_as_library(name)) return LAUNCH_PLUGIN;
  if (begins_with(fd, "#!")) return LAUNCH_SCRIPT;
  return launch_runtime_of_ending(launch_ending(name)) != NULL ? LAUNCH_SCRIPT : LAUNCH_PLUGIN;
}

bool launch_interpreter(int fd, char* text, size_t room) {
  ElfW(Ehdr) header;
  ElfW(Phdr) segment;
  if (!read_header(fd, &header) || !find_segment(fd, &header, PT_INTERP, &segment)) return false;
  if (segment.p_filesz == 0 || segment.p_filesz > room) return false;
  if (!read_at(fd, segment.p_offset, text, segment.p_filesz)) return false;
  return memchr(text, '\0', segment.p_filesz) != NULL;
}

bool launch_kind_from_word(const char* word, enum launch_kind* kind) {
  static const char* const words[] = {"plugin", "program", "script"};
  for (int i = 0; i < 3; ++i) {
    if (strcmp(word, words[i]) != 0) continue;
    *kind = (enum launch_kind)i;
    return true;
  }
  return false;
}
