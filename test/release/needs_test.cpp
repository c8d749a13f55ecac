#include "release/needs.hpp"

#include <doctest/doctest.h>
#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <random>

#include "base/unique_fd.hpp"
#include "release/private_libraries.hpp"
#include "support.hpp"

using namespace liveswap;
using namespace liveswap::release;

namespace {

UniqueFd memory(const std::string& content) {
  auto fd = UniqueFd::adopt(::memfd_create("library", MFD_CLOEXEC));
  REQUIRE(::pwrite(fd.get(), content.data(), content.size(), 0) == static_cast<ssize_t>(content.size()));
  return fd;
}

std::string library(const std::string& name) { return get(std::string(FAMILY) + "/lib" + name + ".so"); }

std::optional<Needs> needs_of(const std::string& content) { return read_needs(memory(content).get()); }

// An offset in the headers or the dynamic section. Most of a library is code, which is not read here.
std::size_t interesting(const std::string& content, std::mt19937& dice) {
  ElfW(Ehdr) header{};
  std::memcpy(&header, content.data(), sizeof header);
  for (unsigned i = 0; i < header.e_phnum; ++i) {
    ElfW(Phdr) segment{};
    std::memcpy(&segment, content.data() + header.e_phoff + i * sizeof segment, sizeof segment);
    if (segment.p_type == PT_DYNAMIC && dice() % 2) return segment.p_offset + dice() % segment.p_filesz;
  }
  return dice() % (sizeof header + header.e_phnum * sizeof(ElfW(Phdr)));
}

}  // namespace

TEST_CASE("a library says what it needs and where to look for it") {
  const auto app = needs_of(library("app"));
  REQUIRE(app);
  CHECK(std::count(app->needed.begin(), app->needed.end(), "libinner.so") == 1);
  CHECK(app->soname == "libapp.so");
  CHECK(app->runpath == "/nowhere:${ORIGIN}/.");
  CHECK(app->rpath.empty());
  const auto inner = needs_of(library("inner"));
  REQUIRE(inner);
  CHECK(inner->rpath == "$ORIGIN/sub");
  CHECK(inner->runpath.empty());
}

TEST_CASE("what is no library of this machine needs nothing") {
  CHECK_FALSE(needs_of(""));
  CHECK_FALSE(needs_of("\177ELF"));
  CHECK_FALSE(needs_of("#!/bin/sh\nexit 0\n" + std::string(100, ' ')));
  std::string other = library("app");
  other[EI_CLASS] = sizeof(void*) == 8 ? ELFCLASS32 : ELFCLASS64;
  CHECK_FALSE(needs_of(other));
  other = library("app");
  other[EI_DATA] = other[EI_DATA] == ELFDATA2LSB ? ELFDATA2MSB : ELFDATA2LSB;
  CHECK_FALSE(needs_of(other));
}

TEST_CASE("a text is not read from outside the table of texts") {
  const std::string whole = library("app");
  ElfW(Ehdr) header{};
  std::memcpy(&header, whole.data(), sizeof header);
  for (unsigned i = 0; i < header.e_phnum; ++i) {
    ElfW(Phdr) segment{};
    std::memcpy(&segment, whole.data() + header.e_phoff + i * sizeof segment, sizeof segment);
    if (segment.p_type != PT_DYNAMIC) continue;
    // The first entry is DT_NEEDED. Its offset is so large that the sum overflows and points into the file
    // again.
    for (const ElfW(Xword) offset : {ElfW(Xword){0} - 16, ElfW(Xword){1} << 32, ElfW(Xword){1'000'000}}) {
      std::string bytes = whole;
      std::memcpy(bytes.data() + segment.p_offset + offsetof(ElfW(Dyn), d_un), &offset, sizeof offset);
      CHECK_FALSE(needs_of(bytes));
    }
  }
}

TEST_CASE("a library that is cut anywhere is read without harm") {
  const std::string whole = library("app");
  for (std::size_t size = 0; size < whole.size(); size += 61) needs_of(whole.substr(0, size));
  CHECK(needs_of(whole));
}

TEST_CASE("hostile libraries are read within bounds") {
  const std::string whole = library("app");
  const TempDir dir;
  const auto directory = UniqueFd::adopt(::open(dir.path().c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  int readable = 0;
  int damaged = 0;
  for (unsigned seed = 1; seed <= 20000; ++seed) {
    CAPTURE(seed);
    std::mt19937 dice(seed);
    std::string bytes = whole;
    for (unsigned i = 0; i <= dice() % 8; ++i) {
      // Changes bytes, or words that are likely to cause an overflow.
      const std::size_t at = interesting(whole, dice);
      if (dice() % 2) bytes[at] = static_cast<char>(dice());
      else
        for (std::size_t k = at & ~std::size_t{7}; k < (at & ~std::size_t{7}) + 8 && k < bytes.size(); ++k)
          bytes[k] = dice() % 4 ? '\xff' : static_cast<char>(dice());
    }
    const auto needs = needs_of(bytes);
    ++(needs ? readable : damaged);
    if (!needs) continue;
    CHECK(needs->needed.size() <= 512);
    for (const auto& name : needs->needed) CHECK(name.size() < 4096);
    PrivateLibraries family(directory.get(), dir.path());
    const auto found = family.of("libapp.so", *needs);
    CHECK((!found || found->size() <= needs->needed.size()));
  }
  // If one of these never happens, the mutations test nothing.
  CHECK(readable > 100);
  CHECK(damaged > 100);
}

TEST_CASE("no name leads out of the directory of a hostile library") {
  const TempDir dir;
  put(dir / "secret", "x");
  put(dir / "app/libbeside.so", "x");
  const auto directory = UniqueFd::adopt(::open((dir / "app").c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  const auto found = [&](const std::string& name, const std::string& runpath) {
    PrivateLibraries family(directory.get(), dir / "app");
    const auto result = family.of("libapp.so", {{name}, "", "", runpath});
    return !result ? "refused" : result->empty() ? "nothing" : result->front().name;
  };
  CHECK(found("libbeside.so", "$ORIGIN") == "libbeside.so");
  CHECK(found("libbeside.so", "$ORIGIN/../app") == "refused");
  CHECK(found("libbeside.so", "$ORIGIN/x/..") == "libbeside.so");
  CHECK(found("libbeside.so", "$ORIGINAL") == "nothing");
  CHECK(found("libbeside.so", "") == "nothing");
  CHECK(found("secret", "$ORIGIN/..") == "refused");
  CHECK(found("secret", "$ORIGIN/a/../../") == "refused");
  CHECK(found("../secret", "$ORIGIN") == "nothing");
  CHECK(found("$ORIGIN/../secret", "") == "refused");
  CHECK(found("$ORIGIN/libbeside.so", "") == "libbeside.so");
  CHECK(found("$ORIGIN", "") == "nothing");
  CHECK(found("", "$ORIGIN") == "nothing");
  CHECK(found(".", "$ORIGIN") == "nothing");
  CHECK(found("..", "$ORIGIN") == "nothing");
  CHECK(found("libbeside.so", ":::$ORIGIN//./:") == "libbeside.so");
  CHECK(found("libbeside.so", (dir / "app") + ":$ORIGIN") ==
        "nothing");  // found by an absolute path, but no shared object: not copied
  put(dir / "app/libbeside.so", "\177ELF");
  CHECK(found("libbeside.so", (dir / "app") + ":$ORIGIN") == ".needed/libbeside.so");
  CHECK(found("secret", dir.path()) == "nothing");
  if (::geteuid() != 0) return;
  REQUIRE(::chmod((dir / "app/libbeside.so").c_str(), 0640) == 0);
  CHECK(found("libbeside.so", dir / "app") == "nothing");
}
