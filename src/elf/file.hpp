#pragma once

#include <elf.h>
#include <link.h>

#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.hpp"

namespace liveswap::elf {

using Header = ElfW(Ehdr);
using Segment = ElfW(Phdr);
using Section = ElfW(Shdr);
using Dynamic = ElfW(Dyn);
using Symbol = ElfW(Sym);

// Longer than names in honest files, so that a file of many names at one place costs no more than its size
// suggests.
inline constexpr std::size_t name_limit = 4096;

// The tables of an ELF file that may be hostile: nothing is read that is not in it, and each table is bounded
// far above what linkers write. What is damaged or larger is as if it were not there.
class File {
 public:
  enum class Kind {
    none,     // no ELF file
    foreign,  // of another word size, byte order or version of the format than this machine's
    native,   // of any type: a library, a program, an object file
  };

  // Reads the header, the segments and the dynamic section. The bytes are borrowed for as long as the object
  // lives.
  explicit File(const Bytes& bytes);

  // Other than `native`: there is nothing in all that follows.
  Kind kind() const { return kind_; }
  const Header& header() const { return header_; }
  const std::vector<Segment>& segments() const { return segments_; }
  const std::vector<Dynamic>& dynamic() const { return dynamic_; }  // without DT_NULL and what follows it

  // The value of the first entry of that tag in the dynamic section.
  std::optional<std::uint64_t> value(std::int64_t tag) const;
  // The text at that offset of the dynamic section's string table. Nothing: its end is not there within
  // `limit` bytes.
  std::optional<std::string> text(std::uint64_t offset, std::size_t limit = name_limit) const;
  // Whether the dynamic section names a string table that is in the file.
  bool has_texts() const { return texts_.has_value(); }

  // Where a loaded address lies in the file.
  std::optional<std::uint64_t> place_of(std::uint64_t address) const;

  // These bytes; empty unless all of them are there.
  std::string bytes(std::uint64_t at, std::uint64_t size) const;
  // As many whole entries as `size` bytes have room for; empty unless all of the bytes are there.
  template <class T>
  std::vector<T> table(std::uint64_t at, std::uint64_t size) const {
    const std::string found = bytes(at, size);
    std::vector<T> entries(found.size() / sizeof(T));
    if (!entries.empty()) std::memcpy(entries.data(), found.data(), entries.size() * sizeof(T));
    return entries;
  }

 private:
  struct Range {
    std::uint64_t begin, end;
  };
  void read_segments();
  void read_dynamic();

  const Bytes& bytes_;
  Kind kind_ = Kind::none;
  Header header_{};
  std::vector<Segment> segments_;
  std::vector<Dynamic> dynamic_;
  std::optional<Range> texts_;
};

}  // namespace liveswap::elf
