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

// Longer than real names; bounds the work for a hostile file with many entries for one name.
inline constexpr std::size_t name_limit = 4096;

// Bounded access to the tables of an untrusted ELF file. Reads nothing outside of the file. A table that is
// damaged, or far larger than linkers write, counts as missing.
class File {
 public:
  enum class Kind {
    none,     // not an ELF file
    foreign,  // other word size, byte order or format version than this machine's
    native,   // any type: library, program, object file
  };

  // Reads header, segments and dynamic section. Borrows `bytes` for the lifetime of this object.
  explicit File(const Bytes& bytes);

  // Unless `native`, all functions below return empty values.
  Kind kind() const { return kind_; }
  const Header& header() const { return header_; }
  const std::vector<Segment>& segments() const { return segments_; }
  const std::vector<Dynamic>& dynamic() const { return dynamic_; }  // up to DT_NULL

  // The value of the first entry with that tag in the dynamic section.
  std::optional<std::uint64_t> value(std::int64_t tag) const;
  // The text at that offset of the dynamic string table. Empty if longer than `limit` bytes, or not
  // terminated.
  std::optional<std::string> text(std::uint64_t offset, std::size_t limit = name_limit) const;
  // Whether the dynamic section has a string table inside the file.
  bool has_texts() const { return texts_.has_value(); }

  // Converts an address to a file offset.
  std::optional<std::uint64_t> place_of(std::uint64_t address) const;

  // The bytes in that range; empty unless all are inside the file.
  std::string bytes(std::uint64_t at, std::uint64_t size) const;
  // Reads `size` bytes as entries, without a partial last one; empty unless all bytes are inside the file.
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
