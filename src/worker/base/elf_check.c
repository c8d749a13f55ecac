#include "elf_check.h"

#include <elf.h>
#include <link.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The ELF header of this program, by the linker's name for it: a library must have the same class, byte order
 * and machine. */
extern const ElfW(Ehdr) __ehdr_start __attribute__((visibility("hidden")));

enum { SEGMENTS_MAX = 256, DYNAMIC_MAX = 4096 };

struct file {
  int fd;
  uint64_t size;
  char* why;
  size_t why_size;
};

static __attribute__((format(printf, 2, 3))) bool refuse(const struct file* file, const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(file->why, file->why_size, format, arguments);
  va_end(arguments);
  return false;
}

static bool read_at(const struct file* file, uint64_t offset, void* to, size_t size) {
  return pread(file->fd, to, size, (off_t)offset) == (ssize_t)size;
}

static bool cut_short(const struct file* file, uint64_t expected) {
  return refuse(file, "is cut short: found %llu bytes, expected %llu", (unsigned long long)file->size,
                (unsigned long long)expected);
}

static const char* machine_name(unsigned machine) {
  switch (machine) {
    case EM_386: return "x86";
    case EM_X86_64: return "x86-64";
    case EM_ARM: return "ARM";
    case EM_AARCH64: return "AArch64";
    case EM_RISCV: return "RISC-V";
    case EM_PPC64: return "PowerPC 64";
    case EM_S390: return "S/390";
    default: return "other";
  }
}

static const char* type_name(unsigned type) {
  switch (type) {
    case ET_REL: return "an object file";
    case ET_EXEC: return "a program";
    case ET_CORE: return "a core dump";
    default: return "of an unknown ELF type";
  }
}

static bool check_header(const struct file* file, ElfW(Ehdr) * header) {
  unsigned char* const ident = header->e_ident;
  if (file->size == 0) return refuse(file, "is empty; expected a shared library");
  if (!read_at(file, 0, ident, EI_NIDENT) || memcmp(ident, ELFMAG, SELFMAG) != 0) {
    return refuse(file, "is no ELF file; expected a shared library");
  }
  if (ident[EI_CLASS] != __ehdr_start.e_ident[EI_CLASS] || ident[EI_DATA] != __ehdr_start.e_ident[EI_DATA]) {
    return refuse(file,
                  "is built for another architecture: found %d bits, %s endian; expected %d bits, %s endian",
                  ident[EI_CLASS] == ELFCLASS64 ? 64 : 32, ident[EI_DATA] == ELFDATA2MSB ? "big" : "little",
                  __ehdr_start.e_ident[EI_CLASS] == ELFCLASS64 ? 64 : 32,
                  __ehdr_start.e_ident[EI_DATA] == ELFDATA2MSB ? "big" : "little");
  }
  if (!read_at(file, 0, header, sizeof *header)) return cut_short(file, sizeof *header);
  if (header->e_machine != __ehdr_start.e_machine) {
    return refuse(file, "is built for another architecture: found %s (%u), expected %s (%u)",
                  machine_name(header->e_machine), (unsigned)header->e_machine,
                  machine_name(__ehdr_start.e_machine), (unsigned)__ehdr_start.e_machine);
  }
  if (header->e_type == ET_DYN) return true;
  return refuse(file, "is %s; expected a shared library (cc -shared -fPIC)", type_name(header->e_type));
}

/* A position-independent program (PIE) has the ELF type of a library; DT_FLAGS_1 tells it apart. */
static bool check_no_program(const struct file* file, const ElfW(Phdr) * segment) {
  ElfW(Dyn) entry;
  const uint64_t count = segment->p_filesz / sizeof entry;
  for (uint64_t i = 0; i < count && i < DYNAMIC_MAX; ++i) {
    if (!read_at(file, segment->p_offset + i * sizeof entry, &entry, sizeof entry) || entry.d_tag == DT_NULL)
      break;
    if (entry.d_tag == DT_FLAGS_1 && (entry.d_un.d_val & DF_1_PIE) != 0) {
      return refuse(file, "is a program (PIE); expected a shared library (cc -shared -fPIC)");
    }
  }
  return true;
}

static bool check_segments(const struct file* file, const ElfW(Ehdr) * header) {
  bool dynamic = false;
  if (header->e_phentsize != sizeof(ElfW(Phdr)) || header->e_phnum == 0 || header->e_phnum > SEGMENTS_MAX) {
    return refuse(file, "has a damaged ELF header: found %u program headers of %u bytes",
                  (unsigned)header->e_phnum, (unsigned)header->e_phentsize);
  }
  for (unsigned i = 0; i < header->e_phnum; ++i) {
    ElfW(Phdr) segment;
    const uint64_t place = header->e_phoff + i * sizeof segment;
    if (!read_at(file, place, &segment, sizeof segment)) return cut_short(file, place + sizeof segment);
    if (segment.p_type != PT_LOAD && segment.p_type != PT_DYNAMIC) continue;
    if (segment.p_offset > file->size || segment.p_filesz > file->size - segment.p_offset) {
      return cut_short(file, segment.p_offset + segment.p_filesz);
    }
    if (segment.p_type != PT_DYNAMIC) continue;
    dynamic = true;
    if (!check_no_program(file, &segment)) return false;
  }
  return dynamic || refuse(file, "has no dynamic section; expected a shared library (cc -shared -fPIC)");
}

bool elf_check(int fd, char* why, size_t why_size) {
  struct stat status;
  ElfW(Ehdr) header = {0};
  struct file file = {fd, 0, why, why_size};
  if (fstat(fd, &status) != 0) return refuse(&file, "cannot be examined");
  file.size = (uint64_t)status.st_size;
  return check_header(&file, &header) && check_segments(&file, &header);
}
