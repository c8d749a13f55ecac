// The reader of ELF files, with well-formed and with damaged files.
#include "check/elf_file.hpp"

#include <doctest/doctest.h>
#include <stdlib.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>

#include "test/support/temp_dir.hpp"

using liveswap::checks::ElfFile;
using liveswap::test::TempDir;

namespace {

std::string content_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

// Numbers at which comparisons and sums go wrong.
constexpr std::uint64_t edges[] = {0,    1, 7, 0x7f, 0xff, 0xffff, 0x7fffffff, 0xffffffff, 0x7fffffffffffffff,
                                   ~0ULL};

std::string damaged(std::string bytes, std::mt19937_64& dice) {
  const auto hits = 1 + dice() % 8;
  for (std::uint64_t i = 0; i < hits; ++i) {
    // Damages mostly the tables: headers at the beginning, section headers at the end.
    const std::size_t part = std::min<std::size_t>(bytes.size(), 4096);
    const std::size_t place = dice() % 3 == 0   ? dice() % bytes.size()
                              : dice() % 2 == 0 ? dice() % part
                                                : bytes.size() - 1 - dice() % part;
    const std::uint64_t value =
        dice() % 2 == 0 ? edges[dice() % std::size(edges)] : dice() % (2 * bytes.size());
    const std::size_t size = std::min<std::size_t>(std::size_t{1} << dice() % 4, bytes.size() - place);
    bytes.replace(place, size, reinterpret_cast<const char*>(&value), size);
  }
  if (dice() % 16 == 0) bytes.resize(dice() % bytes.size());
  return bytes;
}

}  // namespace

TEST_CASE("elf: what an honest library says") {
  const auto file = ElfFile::read(CHECK_FIXTURES "/liborigin.so");
  REQUIRE(file);
  CHECK(file->entry == ElfFile::Entry::function);
  CHECK(std::count(file->needed.begin(), file->needed.end(), "libprivate.so") == 1);
  CHECK(std::any_of(file->run_path.begin(), file->run_path.end(),
                    [](const std::string& part) { return part.rfind("$ORIGIN", 0) == 0; }));
  CHECK_FALSE(file->executable_stack);
  CHECK_FALSE(file->selftest);
  CHECK(ElfFile::read(FIXTURES "/bad/libselftest_fails.so")->selftest);
  const auto noted = ElfFile::read(FIXTURES "/libnever_ready.so");
  REQUIRE(noted);
  REQUIRE(noted->abi_note);
  CHECK(noted->abi_note->major == 1);
  CHECK(noted->abi_note->flags == 1);
}

TEST_CASE("elf: what is no library is an error") {
  CHECK_FALSE(ElfFile::read("/no/such/file"));
  CHECK_FALSE(ElfFile::read("/tmp"));
  CHECK_FALSE(ElfFile::read(FIXTURES "/bad/libtext.so"));
  CHECK_FALSE(ElfFile::read(FIXTURES "/bad/libempty.so"));
  CHECK_FALSE(ElfFile::read(FIXTURES "/bad/libtruncated_header.so"));
  CHECK_FALSE(ElfFile::read(FIXTURES "/bad/libother_class.so"));
}

// The address sanitizer also finds reads outside the file.
TEST_CASE("elf: of a damaged file nothing is read that is not in it") {
  const TempDir directory;
  const std::string good = content_of(CHECK_FIXTURES "/liborigin.so");
  REQUIRE_FALSE(good.empty());
  std::size_t read = 0;
  for (unsigned seed = 0; seed < ELF_SEEDS; ++seed) {
    CAPTURE(seed);
    std::mt19937_64 dice(seed);
    const std::string bytes = damaged(good, dice);
    const std::string path = directory / "lib.so";
    std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
    const auto file = ElfFile::read(path);
    if (!file) continue;
    ++read;
    CHECK(file->needed.size() <= bytes.size() / 16);
    for (const std::string& name : file->needed) CHECK(name.size() < bytes.size());
  }
  CHECK(read > ELF_SEEDS / 10);
}
