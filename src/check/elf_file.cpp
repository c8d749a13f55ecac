#include "check/elf_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <string_view>

#include "base/unique_fd.hpp"
#include "check/names.hpp"
#include "elf/file.hpp"

namespace liveswap::checks {
namespace {

constexpr std::size_t unique_limit = 100'000;
constexpr std::size_t function_limit = 1000;
constexpr std::size_t run_path_limit = 64 * 1024;
constexpr std::size_t parts_limit = 256;
constexpr std::size_t needed_limit = 1024;

std::string_view text_at(const std::string& strings, std::uint64_t offset,
                         std::size_t limit = elf::name_limit) {
  if (offset >= strings.size()) return {};
  const std::string_view rest = std::string_view(strings).substr(offset, limit);
  return rest.substr(0, rest.find('\0'));
}

std::vector<std::string> split_path(std::string_view text) {
  std::vector<std::string> parts;
  for (;;) {
    const auto colon = text.find(':');
    parts.emplace_back(text.substr(0, colon));
    if (colon == std::string_view::npos || parts.size() >= parts_limit) return parts;
    text.remove_prefix(colon + 1);
  }
}

void take_segments(ElfFile& file, const elf::File& source) {
  // Without PT_GNU_STACK, the default of the architecture applies: executable on x86.
  file.executable_stack = true;
  for (const elf::Segment& segment : source.segments()) {
    if (segment.p_type == PT_GNU_STACK) file.executable_stack = (segment.p_flags & PF_X) != 0;
    if (segment.p_type == PT_TLS) file.tls_size = segment.p_memsz;
  }
}

void take_dynamic(ElfFile& file, const elf::File& source) {
  for (const elf::Dynamic& entry : source.dynamic())
    if (entry.d_tag == DT_NEEDED && file.needed.size() < needed_limit)
      file.needed.push_back(source.text(entry.d_un.d_val).value_or(""));
  // As in the dynamic linker: DT_RPATH is ignored if there is a DT_RUNPATH.
  const auto run_path = source.value(source.value(DT_RUNPATH) ? DT_RUNPATH : DT_RPATH);
  file.old_run_path = run_path && !source.value(DT_RUNPATH);
  if (run_path) file.run_path = split_path(source.text(*run_path, run_path_limit).value_or(""));
  const std::uint64_t flags = source.value(DT_FLAGS).value_or(0);
  file.text_relocations = source.value(DT_TEXTREL) || (flags & DF_TEXTREL) != 0;
  file.static_tls = (flags & DF_STATIC_TLS) != 0;
  file.symbolic = source.value(DT_SYMBOLIC) || (flags & DF_SYMBOLIC) != 0;
  file.program = (source.value(DT_FLAGS_1).value_or(0) & DF_1_PIE) != 0;
}

ElfFile::Entry kind_of(const elf::Symbol& symbol) {
  const auto type = ELF64_ST_TYPE(symbol.st_info);
  return type == STT_OBJECT || type == STT_TLS ? ElfFile::Entry::variable : ElfFile::Entry::function;
}

void take_telling(std::vector<std::string>& names, std::string_view name) {
  if (names.size() < function_limit && is_server_function(name)) names.emplace_back(name);
}

void take_note(ElfFile& file, const elf::Symbol& symbol, const elf::File& source) {
  const auto place = source.place_of(symbol.st_value);
  if (!place) return;
  const auto notes = source.table<ElfFile::AbiNote>(*place, sizeof(ElfFile::AbiNote));
  if (!notes.empty()) file.abi_note = notes.front();
}

struct Symbols {
  std::vector<elf::Symbol> entries;
  std::string strings;
};

std::optional<Symbols> symbols_of(const elf::File& source, const std::vector<elf::Section>& sections,
                                  std::uint32_t type) {
  for (const elf::Section& section : sections) {
    if (section.sh_type != type || section.sh_link >= sections.size()) continue;
    const elf::Section& strings = sections[section.sh_link];
    return Symbols{source.table<elf::Symbol>(section.sh_offset, section.sh_size),
                   source.bytes(strings.sh_offset, strings.sh_size)};
  }
  return std::nullopt;
}

// Exported and imported functions.
void take_exported(ElfFile& file, const Symbols& symbols, const elf::File& source) {
  const std::string& entry = file.entry_name;
  const std::string mangled = "_Z" + std::to_string(entry.size()) + entry;
  for (const elf::Symbol& symbol : symbols.entries) {
    const std::string_view name = text_at(symbols.strings, symbol.st_name);
    if (symbol.st_shndx == SHN_UNDEF) {
      take_telling(file.imports, name);
      file.waits = file.waits || can_block(name);
      continue;
    }
    take_telling(file.exports, name);
    if (ELF64_ST_BIND(symbol.st_info) == STB_GNU_UNIQUE && file.unique.size() < unique_limit)
      file.unique.emplace_back(name);
    if (name == entry) file.entry = kind_of(symbol);
    if (name == "main") file.main = kind_of(symbol);
    if (name == "liveswap_selftest") file.selftest = true;
    if (name == "liveswap_abi_note") take_note(file, symbol, source);
    if (file.entry == ElfFile::Entry::missing && name.substr(0, mangled.size()) == mangled)
      file.entry = ElfFile::Entry::mangled;
  }
}

// Functions that exist but are not exported: compiled with -fvisibility=hidden, or static. Unknown for
// stripped files.
void take_internal(ElfFile& file, const Symbols& symbols) {
  for (const elf::Symbol& symbol : symbols.entries) {
    if (symbol.st_shndx == SHN_UNDEF) continue;
    const std::string_view name = text_at(symbols.strings, symbol.st_name);
    if (name == file.entry_name && file.entry == ElfFile::Entry::missing) file.entry = ElfFile::Entry::hidden;
    if (name == "main" && file.main == ElfFile::Entry::missing) file.main = ElfFile::Entry::hidden;
    if (ELF64_ST_TYPE(symbol.st_info) == STT_FUNC && ELF64_ST_BIND(symbol.st_info) == STB_LOCAL)
      take_telling(file.internal, name);
  }
}

// Sections that Go's linker writes.
bool has_go(const elf::File& source, const std::vector<elf::Section>& sections, std::size_t names) {
  if (names >= sections.size()) return false;
  const std::string strings = source.bytes(sections[names].sh_offset, sections[names].sh_size);
  return std::any_of(sections.begin(), sections.end(), [&](const elf::Section& section) {
    const std::string_view name = text_at(strings, section.sh_name);
    return name == ".go.buildinfo" || name == ".note.go.buildid";
  });
}

}  // namespace

Result<ElfFile> ElfFile::read(const std::string& path, const std::string& entry) {
  auto fd = UniqueFd::adopt(::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
  if (!fd) return os_fail("open", path, errno);
  struct stat status {};
  if (::fstat(fd.get(), &status) != 0) return os_fail("examine", path, errno);
  if (!S_ISREG(status.st_mode)) return fail(path + " is no regular file");
  return parse(Bytes(fd.get()), path, entry);
}

Result<ElfFile> ElfFile::parse(const Bytes& content, const std::string& path, const std::string& entry) {
  const elf::File source(content);
  if (source.kind() == elf::File::Kind::none) return fail(path + " is no ELF file");
  // Checks only what this parser needs; the worker host judges the rest.
  const elf::Header& header = source.header();
  if (source.kind() == elf::File::Kind::foreign || header.e_type != ET_DYN)
    return fail(path + " is no shared library of this machine");
  if (source.segments().empty()) return fail(path + " has no program headers");

  ElfFile file;
  file.entry_name = entry;
  take_segments(file, source);
  take_dynamic(file, source);
  if (header.e_shentsize != sizeof(elf::Section)) return file;
  const auto sections =
      source.table<elf::Section>(header.e_shoff, std::uint64_t{header.e_shnum} * sizeof(elf::Section));
  file.go = has_go(source, sections, header.e_shstrndx);
  const auto exported = symbols_of(source, sections, SHT_DYNSYM);
  file.has_symbols = exported.has_value();
  if (exported) take_exported(file, *exported, source);
  if (const auto internal = symbols_of(source, sections, SHT_SYMTAB); exported && internal)
    take_internal(file, *internal);
  return file;
}

}  // namespace liveswap::checks
