#include "elf/file.hpp"

#include <algorithm>

namespace liveswap::elf {
namespace {

constexpr std::size_t segments_limit = 256;
constexpr std::size_t dynamic_limit = 8192;
// Enough for the symbols of the largest libraries (browsers with debug information).
constexpr std::uint64_t table_limit = 256ULL * 1024 * 1024;

constexpr unsigned char native_class = sizeof(void*) == 8 ? ELFCLASS64 : ELFCLASS32;
constexpr unsigned char native_order = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? ELFDATA2LSB : ELFDATA2MSB;

}  // namespace

File::File(const Bytes& bytes) : bytes_(bytes) {
  if (!bytes_.read(0, &header_, sizeof header_) || std::memcmp(header_.e_ident, ELFMAG, SELFMAG) != 0) return;
  kind_ = Kind::foreign;
  if (header_.e_ident[EI_CLASS] != native_class || header_.e_ident[EI_DATA] != native_order ||
      header_.e_phentsize != sizeof(Segment))
    return;
  kind_ = Kind::native;
  read_segments();
  read_dynamic();
}

void File::read_segments() {
  if (header_.e_phnum > segments_limit) return;
  segments_ = table<Segment>(header_.e_phoff, std::uint64_t{header_.e_phnum} * sizeof(Segment));
}

void File::read_dynamic() {
  const auto segment = std::find_if(segments_.begin(), segments_.end(),
                                    [](const Segment& found) { return found.p_type == PT_DYNAMIC; });
  if (segment == segments_.end() || segment->p_filesz > dynamic_limit * sizeof(Dynamic)) return;
  dynamic_ = table<Dynamic>(segment->p_offset, segment->p_filesz);
  dynamic_.erase(std::find_if(dynamic_.begin(), dynamic_.end(),
                              [](const Dynamic& entry) { return entry.d_tag == DT_NULL; }),
                 dynamic_.end());
  const auto address = value(DT_STRTAB);
  const auto size = value(DT_STRSZ);
  const auto place = address ? place_of(*address) : std::nullopt;
  if (place && size && bytes_.has(*place, *size)) texts_ = Range{*place, *place + *size};
}

std::optional<std::uint64_t> File::value(std::int64_t tag) const {
  for (const Dynamic& entry : dynamic_)
    if (entry.d_tag == tag) return entry.d_un.d_val;
  return std::nullopt;
}

std::optional<std::string> File::text(std::uint64_t offset, std::size_t limit) const {
  if (!texts_ || offset >= texts_->end - texts_->begin) return std::nullopt;
  const std::uint64_t at = texts_->begin + offset;
  std::string found = bytes(at, std::min<std::uint64_t>(texts_->end - at, limit));
  const auto length = found.find('\0');
  if (length == std::string::npos) return std::nullopt;
  found.resize(length);
  return found;
}

std::optional<std::uint64_t> File::place_of(std::uint64_t address) const {
  for (const Segment& segment : segments_) {
    if (segment.p_type != PT_LOAD || address < segment.p_vaddr ||
        address - segment.p_vaddr >= segment.p_filesz)
      continue;
    const std::uint64_t place = segment.p_offset + (address - segment.p_vaddr);
    if (place >= segment.p_offset) return place;
  }
  return std::nullopt;
}

std::string File::bytes(std::uint64_t at, std::uint64_t size) const {
  if (size > table_limit || !bytes_.has(at, size)) return {};
  std::string found(size, '\0');
  return bytes_.read(at, found.data(), found.size()) ? found : std::string();
}

}  // namespace liveswap::elf
