#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.hpp"
#include "base/error.hpp"

namespace liveswap::preflight {

// What the ELF headers of a shared library of this machine say, as far as a check asks. The file is not
// trusted: whatever lies outside of it, or is larger than a library has reason for, is left out or an error.
struct ElfFile {
  enum class Entry { missing, function, variable, mangled, hidden };
  struct AbiNote {
    std::uint32_t size = 0;
    std::uint16_t major = 0;
    std::uint16_t minor = 0;
    std::uint32_t flags = 0;
  };

  std::vector<std::string> needed;    // DT_NEEDED, in their order
  std::vector<std::string> run_path;  // parts of DT_RUNPATH, else of DT_RPATH
  bool old_run_path = false;          // it is that of DT_RPATH
  bool executable_stack = false;
  bool text_relocations = false;
  bool static_tls = false;
  std::uint64_t tls_size = 0;       // bytes that each thread gets
  std::vector<std::string> unique;  // names of defined STB_GNU_UNIQUE symbols
  bool program = false;             // a program (PIE), which the loader does not load as a library
  bool symbolic = false;            // linked with -Bsymbolic: what it defines itself, it uses itself
  // From the section headers; a library without any works, and these are then not known.
  bool has_symbols = false;
  std::string entry_name = "liveswap_main";
  Entry entry = Entry::missing;  // the function of that name
  Entry main = Entry::missing;   // that of a program, wherever it came from
  bool selftest = false;         // liveswap_selftest is exported
  std::optional<AbiNote> abi_note;
  bool waits = false;  // it calls a function in which a thread can wait
  bool go = false;     // there is code of the Go compiler in it
  // Of the functions that tell how a server serves (elf_file.cpp), in the order of the file:
  std::vector<std::string> imports;   // those that it wants from elsewhere
  std::vector<std::string> exports;   // those that it defines for everybody
  std::vector<std::string> internal;  // those that it defines for itself alone, hidden or static

  static Result<ElfFile> read(const std::string& path, const std::string& entry = "liveswap_main");
  // The same of its content; `path` is for errors.
  static Result<ElfFile> parse(const Bytes& content, const std::string& path, const std::string& entry);
};

}  // namespace liveswap::preflight
