#include "release/elf.hpp"

#include <elf.h>
#include <link.h>

#include <algorithm>
#include <cstdint>
#include <cstring>

namespace liveswap::release {
namespace {

// Bounds for hostile files, far above what linkers write: at most a few reads and a few hundred KiB.
constexpr std::size_t segments_max = 256;
constexpr std::size_t dynamic_max = 8192;
constexpr std::size_t needed_max = 512;
constexpr std::size_t string_max = 4096;

constexpr unsigned char native_class = sizeof(void*) == 8 ? ELFCLASS64 : ELFCLASS32;
constexpr unsigned char native_data = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? ELFDATA2LSB : ELFDATA2MSB;

using Header = ElfW(Ehdr);
using Segment = ElfW(Phdr);
using Entry = ElfW(Dyn);

class File {
 public:
  explicit File(const Bytes& bytes) : bytes_(bytes) {}

  bool inside(std::uint64_t at, std::uint64_t size) const { return bytes_.has(at, size); }
  bool read(std::uint64_t at, void* to, std::size_t size) const { return bytes_.read(at, to, size); }

  // Reads an array of at most `max` items; empty if not all of it is inside the file.
  template <class T>
  std::vector<T> array(std::uint64_t at, std::uint64_t count, std::size_t max) const {
    std::vector<T> items;
    if (count > max || !inside(at, count * sizeof(T))) return items;
    items.resize(count);
    if (!read(at, items.data(), count * sizeof(T))) items.clear();
    return items;
  }

  // Reads a NUL-terminated string; the NUL must be before `end`.
  std::optional<std::string> text(std::uint64_t at, std::uint64_t end) const {
    if (at >= end || end > bytes_.size()) return std::nullopt;
    std::string bytes(std::min<std::uint64_t>(end - at, string_max), '\0');
    if (!read(at, bytes.data(), bytes.size())) return std::nullopt;
    const auto length = bytes.find('\0');
    if (length == std::string::npos) return std::nullopt;
    bytes.resize(length);
    return bytes;
  }

 private:
  const Bytes& bytes_;
};

std::vector<Segment> segments_of(const File& file) {
  Header header{};
  if (!file.read(0, &header, sizeof header) || std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 ||
      header.e_ident[EI_CLASS] != native_class || header.e_ident[EI_DATA] != native_data ||
      header.e_phentsize != sizeof(Segment))
    return {};
  return file.array<Segment>(header.e_phoff, header.e_phnum, segments_max);
}

std::vector<Entry> dynamic_of(const File& file, const std::vector<Segment>& segments) {
  for (const auto& segment : segments) {
    if (segment.p_type != PT_DYNAMIC) continue;
    auto entries = file.array<Entry>(segment.p_offset, segment.p_filesz / sizeof(Entry), dynamic_max);
    const auto end =
        std::find_if(entries.begin(), entries.end(), [](const Entry& e) { return e.d_tag == DT_NULL; });
    entries.erase(end, entries.end());
    return entries;
  }
  return {};
}

std::optional<std::uint64_t> value_of(const std::vector<Entry>& entries, std::int64_t tag) {
  for (const auto& entry : entries)
    if (entry.d_tag == tag) return entry.d_un.d_val;
  return std::nullopt;
}

// Converts an address from the dynamic section to a file offset.
std::optional<std::uint64_t> place_of(const std::vector<Segment>& segments, std::uint64_t address) {
  for (const auto& segment : segments) {
    if (segment.p_type != PT_LOAD || address < segment.p_vaddr ||
        address - segment.p_vaddr >= segment.p_filesz)
      continue;
    const std::uint64_t place = segment.p_offset + (address - segment.p_vaddr);
    if (place >= segment.p_offset) return place;
  }
  return std::nullopt;
}

}  // namespace

std::optional<Needs> read_needs(int fd) { return read_needs(Bytes(fd)); }

std::optional<Needs> read_needs(const Bytes& bytes) {
  const File file(bytes);
  const auto segments = segments_of(file);
  const auto entries = dynamic_of(file, segments);
  const auto table = value_of(entries, DT_STRTAB);
  const auto size = value_of(entries, DT_STRSZ);
  const auto place = table ? place_of(segments, *table) : std::nullopt;
  if (!place || !size || !file.inside(*place, *size)) return std::nullopt;

  Needs needs;
  for (const auto& entry : entries) {
    std::string* to = nullptr;
    switch (entry.d_tag) {
      case DT_NEEDED:
        break;
      case DT_SONAME:
        to = &needs.soname;
        break;
      case DT_RPATH:
        to = &needs.rpath;
        break;
      case DT_RUNPATH:
        to = &needs.runpath;
        break;
      default:
        continue;
    }
    const std::uint64_t offset = entry.d_un.d_val;
    auto text = offset < *size ? file.text(*place + offset, *place + *size) : std::nullopt;
    if (!text) return std::nullopt;
    if (!to && needs.needed.size() == needed_max) return std::nullopt;
    if (to)
      *to = std::move(*text);
    else
      needs.needed.push_back(std::move(*text));
  }
  return needs;
}

}  // namespace liveswap::release
