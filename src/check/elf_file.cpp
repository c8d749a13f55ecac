#include "check/elf_file.hpp"

#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string_view>

#include "base/unique_fd.hpp"

namespace liveswap::checks {
namespace {

using Header = ElfW(Ehdr);
using Segment = ElfW(Phdr);
using Section = ElfW(Shdr);
using Dynamic = ElfW(Dyn);
using Symbol = ElfW(Sym);

// Bytes of one table. Enough for the largest libraries (browsers with debug information).
constexpr std::uint64_t table_limit = 256ULL * 1024 * 1024;
constexpr std::size_t unique_limit = 100'000;
constexpr std::size_t function_limit = 1000;
// Bounds for hostile files, above real names and paths; many entries may share one name.
constexpr std::size_t name_limit = 4096;
constexpr std::size_t run_path_limit = 64 * 1024;
constexpr std::size_t parts_limit = 256;
constexpr std::size_t needed_limit = 1024;

// Functions that show how a server works: those interposed by the worker host, those that start processes,
// and those of the plugin contract about drains. In addition, all of liburing.
constexpr std::string_view server_functions[] = {"accept",
                                                 "accept4",
                                                 "bind",
                                                 "close",
                                                 "close_range",
                                                 "closefrom",
                                                 "connect",
                                                 "dup",
                                                 "dup2",
                                                 "dup3",
                                                 "epoll_ctl",
                                                 "epoll_pwait",
                                                 "epoll_pwait2",
                                                 "epoll_wait",
                                                 "fcntl",
                                                 "fcntl64",
                                                 "ioctl",
                                                 "listen",
                                                 "poll",
                                                 "ppoll",
                                                 "pselect",
                                                 "remove",
                                                 "select",
                                                 "shutdown",
                                                 "syscall",
                                                 "__dprintf_chk",
                                                 "__read_chk",
                                                 "__recv_chk",
                                                 "__recvfrom_chk",
                                                 "__vdprintf_chk",
                                                 "dprintf",
                                                 "read",
                                                 "readv",
                                                 "recv",
                                                 "recvfrom",
                                                 "recvmsg",
                                                 "send",
                                                 "sendfile",
                                                 "sendfile64",
                                                 "sendmmsg",
                                                 "sendmsg",
                                                 "sendto",
                                                 "splice",
                                                 "vdprintf",
                                                 "write",
                                                 "writev",
                                                 "unlink",
                                                 "unlinkat",
                                                 "prctl",
                                                 "pthread_create",
                                                 "pthread_sigmask",
                                                 "sigaction",
                                                 "signal",
                                                 "sigprocmask",
                                                 "thrd_create",
                                                 "_Fork",
                                                 "daemon",
                                                 "fork",
                                                 "setsid",
                                                 "vfork",
                                                 "execl",
                                                 "execle",
                                                 "execlp",
                                                 "execv",
                                                 "execve",
                                                 "execveat",
                                                 "execvp",
                                                 "execvpe",
                                                 "fexecve",
                                                 "liveswap_drain_fd",
                                                 "liveswap_draining",
                                                 "liveswap_drain_left_ms"};

// libc functions that can block a thread, or that end main() while other threads continue.
constexpr std::string_view blocking_functions[] = {"__poll_chk",
                                                   "__ppoll_chk",
                                                   "__read_chk",
                                                   "__recv_chk",
                                                   "__recvfrom_chk",
                                                   "accept",
                                                   "accept4",
                                                   "clock_nanosleep",
                                                   "cnd_timedwait",
                                                   "cnd_wait",
                                                   "epoll_pwait",
                                                   "epoll_pwait2",
                                                   "epoll_wait",
                                                   "fgets",
                                                   "fread",
                                                   "getchar",
                                                   "getline",
                                                   "mq_receive",
                                                   "mq_timedreceive",
                                                   "msgrcv",
                                                   "nanosleep",
                                                   "pause",
                                                   "poll",
                                                   "ppoll",
                                                   "pselect",
                                                   "pthread_barrier_wait",
                                                   "pthread_cond_clockwait",
                                                   "pthread_cond_timedwait",
                                                   "pthread_cond_wait",
                                                   "pthread_exit",
                                                   "pthread_join",
                                                   "pthread_timedjoin_np",
                                                   "read",
                                                   "readv",
                                                   "recv",
                                                   "recvfrom",
                                                   "recvmmsg",
                                                   "recvmsg",
                                                   "select",
                                                   "sem_clockwait",
                                                   "sem_timedwait",
                                                   "sem_wait",
                                                   "sigsuspend",
                                                   "sigtimedwait",
                                                   "sigwait",
                                                   "sigwaitinfo",
                                                   "sleep",
                                                   "syscall",
                                                   "thrd_exit",
                                                   "thrd_join",
                                                   "thrd_sleep",
                                                   "usleep",
                                                   "wait",
                                                   "wait4",
                                                   "waitid",
                                                   "waitpid"};

// The same in C++: std::thread::join, std::condition_variable, and the futex of std::atomic::wait and
// std::future.
constexpr std::string_view blocking_prefixes[] = {"_ZNSt6thread4join", "_ZNSt18condition_variable",
                                                  "_ZNSt28__atomic_futex_unsigned"};

bool can_wait(std::string_view name) {
  return name.substr(0, 9) == "io_uring_" ||
         std::find(std::begin(blocking_functions), std::end(blocking_functions), name) !=
             std::end(blocking_functions) ||
         std::any_of(std::begin(blocking_prefixes), std::end(blocking_prefixes),
                     [&](std::string_view prefix) { return name.substr(0, prefix.size()) == prefix; });
}

bool tells(std::string_view name) {
  return name.substr(0, 9) == "io_uring_" ||
         std::find(std::begin(server_functions), std::end(server_functions), name) !=
             std::end(server_functions);
}

// Bounded access to the tables of a file.
class Tables {
 public:
  explicit Tables(const Bytes& bytes) : bytes_(bytes) {}

  // Empty unless entirely inside the file.
  std::string at(std::uint64_t offset, std::uint64_t size) const {
    if (size > table_limit || !bytes_.has(offset, size)) return {};
    std::string found(size, '\0');
    return bytes_.read(offset, found.data(), found.size()) ? found : std::string();
  }

  template <class T>
  std::vector<T> table(std::uint64_t offset, std::uint64_t size) const {
    const std::string bytes = at(offset, size);
    std::vector<T> entries(bytes.size() / sizeof(T));
    if (!entries.empty()) std::memcpy(entries.data(), bytes.data(), entries.size() * sizeof(T));
    return entries;
  }

 private:
  const Bytes& bytes_;
};

std::string_view text_at(const std::string& strings, std::uint64_t offset, std::size_t limit = name_limit) {
  if (offset >= strings.size()) return {};
  const std::string_view rest = std::string_view(strings).substr(offset, limit);
  return rest.substr(0, rest.find('\0'));
}

// Converts an address to a file offset.
std::optional<std::uint64_t> offset_of(const std::vector<Segment>& segments, std::uint64_t address) {
  for (const Segment& segment : segments)
    if (segment.p_type == PT_LOAD && address >= segment.p_vaddr &&
        address - segment.p_vaddr < segment.p_filesz)
      return segment.p_offset + (address - segment.p_vaddr);
  return std::nullopt;
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

void take_segments(ElfFile& file, const std::vector<Segment>& segments) {
  // Without PT_GNU_STACK, the default of the architecture applies: executable on x86.
  file.executable_stack = true;
  for (const Segment& segment : segments) {
    if (segment.p_type == PT_GNU_STACK) file.executable_stack = (segment.p_flags & PF_X) != 0;
    if (segment.p_type == PT_TLS) file.tls_size = segment.p_memsz;
  }
}

void take_dynamic(ElfFile& file, const Tables& bytes, const std::vector<Segment>& segments) {
  const auto place = std::find_if(segments.begin(), segments.end(),
                                  [](const Segment& segment) { return segment.p_type == PT_DYNAMIC; });
  if (place == segments.end()) return;
  std::vector<Dynamic> entries = bytes.table<Dynamic>(place->p_offset, place->p_filesz);
  entries.erase(
      std::find_if(entries.begin(), entries.end(), [](const Dynamic& e) { return e.d_tag == DT_NULL; }),
      entries.end());
  const auto value = [&](ElfW(Sxword) tag) -> std::uint64_t {
    const auto found = std::find_if(entries.begin(), entries.end(),
                                    [&](const Dynamic& entry) { return entry.d_tag == tag; });
    return found == entries.end() ? 0 : found->d_un.d_val;
  };
  const auto strings_at = offset_of(segments, value(DT_STRTAB));
  const std::string strings = strings_at ? bytes.at(*strings_at, value(DT_STRSZ)) : "";
  for (const Dynamic& entry : entries) {
    if (entry.d_tag == DT_NEEDED && file.needed.size() < needed_limit)
      file.needed.emplace_back(text_at(strings, entry.d_un.d_val));
    if (entry.d_tag == DT_TEXTREL) file.text_relocations = true;
    if (entry.d_tag == DT_SYMBOLIC) file.symbolic = true;
  }
  // As in the dynamic linker: DT_RPATH is ignored if there is a DT_RUNPATH.
  const std::uint64_t run_path = value(DT_RUNPATH) != 0 ? value(DT_RUNPATH) : value(DT_RPATH);
  file.old_run_path = run_path != 0 && value(DT_RUNPATH) == 0;
  if (run_path != 0) file.run_path = split_path(text_at(strings, run_path, run_path_limit));
  file.text_relocations = file.text_relocations || (value(DT_FLAGS) & DF_TEXTREL) != 0;
  file.static_tls = (value(DT_FLAGS) & DF_STATIC_TLS) != 0;
  file.symbolic = file.symbolic || (value(DT_FLAGS) & DF_SYMBOLIC) != 0;
  file.program = (value(DT_FLAGS_1) & DF_1_PIE) != 0;
}

ElfFile::Entry kind_of(const Symbol& symbol) {
  const auto type = ELF64_ST_TYPE(symbol.st_info);
  return type == STT_OBJECT || type == STT_TLS ? ElfFile::Entry::variable : ElfFile::Entry::function;
}

void take_telling(std::vector<std::string>& names, std::string_view name) {
  if (names.size() < function_limit && tells(name)) names.emplace_back(name);
}

void take_note(ElfFile& file, const Symbol& symbol, const Tables& bytes,
               const std::vector<Segment>& segments) {
  const auto place = offset_of(segments, symbol.st_value);
  if (!place) return;
  const auto notes = bytes.table<ElfFile::AbiNote>(*place, sizeof(ElfFile::AbiNote));
  if (!notes.empty()) file.abi_note = notes.front();
}

struct Symbols {
  std::vector<Symbol> entries;
  std::string strings;
};

std::optional<Symbols> symbols_of(const Tables& bytes, const std::vector<Section>& sections,
                                  std::uint32_t type) {
  for (const Section& section : sections) {
    if (section.sh_type != type || section.sh_link >= sections.size()) continue;
    const Section& strings = sections[section.sh_link];
    return Symbols{bytes.table<Symbol>(section.sh_offset, section.sh_size),
                   bytes.at(strings.sh_offset, strings.sh_size)};
  }
  return std::nullopt;
}

// Exported and imported functions.
void take_exported(ElfFile& file, const Symbols& symbols, const Tables& bytes,
                   const std::vector<Segment>& segments) {
  const std::string& entry = file.entry_name;
  const std::string mangled = "_Z" + std::to_string(entry.size()) + entry;
  for (const Symbol& symbol : symbols.entries) {
    const std::string_view name = text_at(symbols.strings, symbol.st_name);
    if (symbol.st_shndx == SHN_UNDEF) {
      take_telling(file.imports, name);
      file.waits = file.waits || can_wait(name);
      continue;
    }
    take_telling(file.exports, name);
    if (ELF64_ST_BIND(symbol.st_info) == STB_GNU_UNIQUE && file.unique.size() < unique_limit)
      file.unique.emplace_back(name);
    if (name == entry) file.entry = kind_of(symbol);
    if (name == "main") file.main = kind_of(symbol);
    if (name == "liveswap_selftest") file.selftest = true;
    if (name == "liveswap_abi_note") take_note(file, symbol, bytes, segments);
    if (file.entry == ElfFile::Entry::missing && name.substr(0, mangled.size()) == mangled)
      file.entry = ElfFile::Entry::mangled;
  }
}

// Functions that exist but are not exported: compiled with -fvisibility=hidden, or static. Unknown for
// stripped files.
void take_internal(ElfFile& file, const Symbols& symbols) {
  for (const Symbol& symbol : symbols.entries) {
    if (symbol.st_shndx == SHN_UNDEF) continue;
    const std::string_view name = text_at(symbols.strings, symbol.st_name);
    if (name == file.entry_name && file.entry == ElfFile::Entry::missing) file.entry = ElfFile::Entry::hidden;
    if (name == "main" && file.main == ElfFile::Entry::missing) file.main = ElfFile::Entry::hidden;
    if (ELF64_ST_TYPE(symbol.st_info) == STT_FUNC && ELF64_ST_BIND(symbol.st_info) == STB_LOCAL)
      take_telling(file.internal, name);
  }
}

// Sections that Go's linker writes.
bool has_go(const Tables& bytes, const std::vector<Section>& sections, std::size_t names) {
  if (names >= sections.size()) return false;
  const std::string strings = bytes.at(sections[names].sh_offset, sections[names].sh_size);
  return std::any_of(sections.begin(), sections.end(), [&](const Section& section) {
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
  const Tables bytes(content);
  const auto headers = bytes.table<Header>(0, sizeof(Header));
  if (headers.empty() || std::memcmp(headers[0].e_ident, ELFMAG, SELFMAG) != 0)
    return fail(path + " is no ELF file");
  const Header& header = headers[0];
  // Checks only what this parser needs; the worker host judges the rest.
  constexpr unsigned char own_class = sizeof(void*) == 8 ? ELFCLASS64 : ELFCLASS32;
  constexpr unsigned char own_order = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? ELFDATA2LSB : ELFDATA2MSB;
  if (header.e_ident[EI_CLASS] != own_class || header.e_ident[EI_DATA] != own_order ||
      header.e_type != ET_DYN || header.e_phentsize != sizeof(Segment))
    return fail(path + " is no shared library of this machine");
  const auto segments = bytes.table<Segment>(header.e_phoff, std::uint64_t{header.e_phnum} * sizeof(Segment));
  if (segments.empty()) return fail(path + " has no program headers");

  ElfFile file;
  file.entry_name = entry;
  take_segments(file, segments);
  take_dynamic(file, bytes, segments);
  if (header.e_shentsize != sizeof(Section)) return file;
  const auto sections = bytes.table<Section>(header.e_shoff, std::uint64_t{header.e_shnum} * sizeof(Section));
  file.go = has_go(bytes, sections, header.e_shstrndx);
  const auto exported = symbols_of(bytes, sections, SHT_DYNSYM);
  file.has_symbols = exported.has_value();
  if (exported) take_exported(file, *exported, bytes, segments);
  if (const auto internal = symbols_of(bytes, sections, SHT_SYMTAB); exported && internal)
    take_internal(file, *internal);
  return file;
}

}  // namespace liveswap::checks
