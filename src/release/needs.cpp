#include "release/needs.hpp"

#include "elf/file.hpp"

namespace liveswap::release {
namespace {

// Far above what linkers write.
constexpr std::size_t needed_max = 512;

std::string* single_text(Needs& needs, std::int64_t tag) {
  switch (tag) {
    case DT_SONAME: return &needs.soname;
    case DT_RPATH: return &needs.rpath;
    case DT_RUNPATH: return &needs.runpath;
    default: return nullptr;
  }
}

}  // namespace

std::optional<Needs> read_needs(int fd) { return read_needs(Bytes(fd)); }

std::optional<Needs> read_needs(const Bytes& bytes) {
  const elf::File file(bytes);
  if (!file.has_texts()) return std::nullopt;
  Needs needs;
  for (const auto& entry : file.dynamic()) {
    std::string* const single = single_text(needs, entry.d_tag);
    if (!single && entry.d_tag != DT_NEEDED) continue;
    auto text = file.text(entry.d_un.d_val);
    if (!text || (!single && needs.needed.size() == needed_max)) return std::nullopt;
    if (single) *single = std::move(*text);
    else needs.needed.push_back(std::move(*text));
  }
  return needs;
}

}  // namespace liveswap::release
