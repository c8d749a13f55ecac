// Whether a file is a shared library of this machine (base/elf_check.h): made here byte by byte, then
// damaged.
#include "../host_headers.hpp"

#include <dlfcn.h>
#include <doctest/doctest.h>
#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "base/unique_fd.hpp"

extern "C" {
#include "worker/base/elf_check.h"
}

using liveswap::UniqueFd;

namespace {

// The smallest that passes: two segments, one of them dynamic with two entries and the end.
struct Library {
  ElfW(Ehdr) header{};
  ElfW(Phdr) segments[2]{};
  ElfW(Dyn) dynamic[3]{};
  char rest[64]{};
};

ElfW(Ehdr) header_of_this_program() {
  const UniqueFd self = UniqueFd::adopt(::open("/proc/self/exe", O_RDONLY | O_CLOEXEC));
  ElfW(Ehdr) header{};
  REQUIRE(::read(self.get(), &header, sizeof header) == sizeof header);
  return header;
}

Library good() {
  Library library;
  library.header = header_of_this_program();
  library.header.e_type = ET_DYN;
  library.header.e_phoff = offsetof(Library, segments);
  library.header.e_phentsize = sizeof(ElfW(Phdr));
  library.header.e_phnum = 2;
  library.segments[0].p_type = PT_LOAD;
  library.segments[0].p_filesz = sizeof(Library);
  library.segments[1].p_type = PT_DYNAMIC;
  library.segments[1].p_offset = offsetof(Library, dynamic);
  library.segments[1].p_filesz = sizeof library.dynamic;
  library.dynamic[0].d_tag = DT_NEEDED;
  library.dynamic[1].d_tag = DT_FLAGS_1;
  return library;
}

std::string bytes_of(const Library& library) {
  return std::string(reinterpret_cast<const char*>(&library), sizeof library);
}

struct Verdict {
  bool is_good;
  std::string why;
};

Verdict check(const std::string& bytes, std::size_t room = 512) {
  const UniqueFd file = UniqueFd::adopt(::memfd_create("library", MFD_CLOEXEC));
  REQUIRE(::write(file.get(), bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size()));
  std::vector<char> why(room, 'x');
  why[0] = '\0';
  const bool is_good = elf_check(file.get(), why.data(), room);
  return {is_good, std::string(why.data())};
}

Verdict check(const Library& library) { return check(bytes_of(library)); }

bool has(const Verdict& verdict, const std::string& text) {
  CAPTURE(verdict.why);
  CHECK(!verdict.is_good);
  return verdict.why.find(text) != std::string::npos;
}

}  // namespace

TEST_CASE("elf_check: a library passes, and nothing is said of it") {
  const Verdict verdict = check(good());
  CHECK(verdict.is_good);
  CHECK(verdict.why.empty());
}

TEST_CASE("elf_check: libc passes") {
  Dl_info info{};
  REQUIRE(::dladdr(reinterpret_cast<void*>(&::getppid), &info) != 0);
  const UniqueFd file = UniqueFd::adopt(::open(info.dli_fname, O_RDONLY | O_CLOEXEC));
  char why[256];
  CHECK(elf_check(file.get(), why, sizeof why));
}

TEST_CASE("elf_check: what is no ELF file") {
  CHECK(has(check(std::string()), "is empty; expected a shared library"));
  for (const std::string& bytes :
       {std::string("#!/bin/sh\n"), std::string("\x7f") + "EL", std::string("x"), std::string(5000, '\0'),
        std::string("\x7f") + "ELG" + std::string(100, 'x'), std::string("\x7f") + "ELF"})
    CHECK(has(check(bytes), "is no ELF file; expected a shared library"));
}

TEST_CASE("elf_check: what cannot be read") {
  char why[64] = "";
  CHECK(!elf_check(-1, why, sizeof why));
  CHECK(std::string(why) == "cannot be examined");
  const UniqueFd directory = UniqueFd::adopt(::open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  CHECK(!elf_check(directory.get(), why, sizeof why));
  const UniqueFd written = UniqueFd::adopt(::open("/dev/null", O_WRONLY | O_CLOEXEC));
  CHECK(!elf_check(written.get(), why, sizeof why));
}

TEST_CASE("elf_check: another architecture is named, and the one that is expected") {
  Library library = good();
  const bool is_64 = library.header.e_ident[EI_CLASS] == ELFCLASS64;
  library.header.e_ident[EI_CLASS] = is_64 ? ELFCLASS32 : ELFCLASS64;
  CHECK(has(check(library), is_64 ? "found 32 bits" : "found 64 bits"));
  CHECK(has(check(library), is_64 ? "expected 64 bits" : "expected 32 bits"));
  library = good();
  const bool is_big = library.header.e_ident[EI_DATA] == ELFDATA2MSB;
  library.header.e_ident[EI_DATA] = is_big ? ELFDATA2LSB : ELFDATA2MSB;
  CHECK(has(check(library), is_big ? "little endian; expected" : "big endian; expected"));
  const std::pair<unsigned, const char*> machines[] = {
      {EM_386, "x86 (3)"},           {EM_X86_64, "x86-64 (62)"}, {EM_ARM, "ARM (40)"},
      {EM_AARCH64, "AArch64 (183)"}, {EM_RISCV, "RISC-V (243)"}, {EM_PPC64, "PowerPC 64 (21)"},
      {EM_S390, "S/390 (22)"},       {EM_NONE, "other (0)"},     {60'000, "other (60000)"}};
  for (const auto& [machine, name] : machines) {
    library = good();
    if (library.header.e_machine == machine) continue;
    library.header.e_machine = static_cast<ElfW(Half)>(machine);
    CHECK(has(check(library), std::string("found ") + name + ", expected "));
  }
}

TEST_CASE("elf_check: what is ELF and no library says what it is") {
  const std::pair<unsigned, const char*> types[] = {{ET_REL, "is an object file"},
                                                    {ET_EXEC, "is a program"},
                                                    {ET_CORE, "is a core dump"},
                                                    {ET_NONE, "is of an unknown ELF type"},
                                                    {0xFE00, "is of an unknown ELF type"}};
  for (const auto& [type, text] : types) {
    Library library = good();
    library.header.e_type = static_cast<ElfW(Half)>(type);
    CHECK(has(check(library), text));
  }
}

TEST_CASE("elf_check: a program that may be loaded anywhere is a program") {
  Library library = good();
  library.dynamic[1].d_un.d_val = DF_1_PIE | DF_1_NOW;
  CHECK(has(check(library), "is a program (PIE)"));
  // What stands behind the end of the section is none of it.
  library = good();
  library.dynamic[1].d_tag = DT_NULL;
  library.dynamic[2].d_tag = DT_FLAGS_1;
  library.dynamic[2].d_un.d_val = DF_1_PIE;
  CHECK(check(library).is_good);
  library = good();
  library.dynamic[0].d_tag = DT_FLAGS;
  library.dynamic[0].d_un.d_val = DF_1_PIE;
  CHECK(check(library).is_good);
}

TEST_CASE("elf_check: this program is none") {
  const UniqueFd self = UniqueFd::adopt(::open("/proc/self/exe", O_RDONLY | O_CLOEXEC));
  char why[256] = "";
  CHECK(!elf_check(self.get(), why, sizeof why));
  CHECK(std::string(why).find("is a program") != std::string::npos);
}

TEST_CASE("elf_check: cut anywhere it is refused") {
  const std::string whole = bytes_of(good());
  for (std::size_t size = EI_NIDENT; size < whole.size(); ++size) {
    CAPTURE(size);
    const Verdict verdict = check(whole.substr(0, size));
    REQUIRE(has(verdict, "is cut short: found " + std::to_string(size) + " bytes, expected "));
  }
  CHECK(has(check(whole.substr(0, whole.size() - 1)), "expected " + std::to_string(whole.size())));
  CHECK(check(whole + "more").is_good);
}

TEST_CASE("elf_check: headers of segments that are none") {
  for (const unsigned size : {0U, 1U, unsigned{sizeof(ElfW(Phdr))} - 1, 65'535U}) {
    Library library = good();
    library.header.e_phentsize = static_cast<ElfW(Half)>(size);
    CHECK(
        has(check(library), "has a damaged ELF header: found 2 program headers of " + std::to_string(size)));
  }
  for (const unsigned count : {0U, 257U, 65'535U}) {
    Library library = good();
    library.header.e_phnum = static_cast<ElfW(Half)>(count);
    CHECK(has(check(library), "has a damaged ELF header: found " + std::to_string(count)));
  }
  for (const auto place : {sizeof(Library), std::size_t{1} << 40, SIZE_MAX / 2, SIZE_MAX - 8}) {
    Library library = good();
    library.header.e_phoff = place;
    CHECK(has(check(library), "is cut short"));
  }
}

TEST_CASE("elf_check: segments beyond the end of the file, and sums that overflow") {
  for (const int which : {0, 1}) {
    for (const auto place : {sizeof(Library) + 1, SIZE_MAX, SIZE_MAX - 15}) {
      Library library = good();
      library.segments[which].p_offset = place;
      library.segments[which].p_filesz = 16;
      CHECK(has(check(library), "is cut short"));
    }
    Library library = good();
    library.segments[which].p_filesz = SIZE_MAX;
    CHECK(has(check(library), "is cut short"));
  }
  // What the loader does not map may lie anywhere.
  Library library = good();
  library.segments[0].p_type = PT_NOTE;
  library.segments[0].p_offset = SIZE_MAX;
  CHECK(check(library).is_good);
}

TEST_CASE("elf_check: without a dynamic section it is refused") {
  Library library = good();
  library.segments[1].p_type = PT_NOTE;
  CHECK(has(check(library), "has no dynamic section"));
}

TEST_CASE("elf_check: a dynamic section that goes on and on is read to a bound") {
  Library library = good();
  std::string bytes = bytes_of(library);
  ElfW(Dyn) entry{};
  entry.d_tag = DT_NEEDED;
  enum { ENTRIES = 5000 };
  for (int i = 0; i < ENTRIES; ++i) bytes.append(reinterpret_cast<const char*>(&entry), sizeof entry);
  auto* const copy = reinterpret_cast<Library*>(bytes.data());
  copy->segments[1].p_offset = sizeof(Library);
  copy->segments[1].p_filesz = ENTRIES * sizeof entry;
  CHECK(check(bytes).is_good);
}

TEST_CASE("elf_check: what it says is cut at the room that there is, with a NUL") {
  for (std::size_t room = 1; room < 40; ++room) {
    const Verdict verdict = check("no library", room);
    CHECK(!verdict.is_good);
    CHECK(verdict.why == std::string("is no ELF file; expected a shared library").substr(0, room - 1));
  }
}

TEST_CASE("elf_check: whatever the bytes, it comes to an end and a refusal says why") {
  std::mt19937 random(14);
  const std::string whole = bytes_of(good());
  int refused = 0;
  for (int round = 0; round < 5000; ++round) {
    std::string bytes = whole;
    for (unsigned i = 1 + random() % 8; i > 0; --i)
      bytes[random() % bytes.size()] = static_cast<char>(random());
    const Verdict verdict = check(bytes);
    REQUIRE(verdict.is_good == verdict.why.empty());
    refused += !verdict.is_good;
  }
  CHECK(refused > 1000);
}
