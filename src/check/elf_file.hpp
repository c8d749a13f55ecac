#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.hpp"
#include "base/error.hpp"

namespace liveswap::checks {

// The ELF headers of a shared library of this machine, as needed for a check. The file is untrusted: entries
// beyond the file or above the limits are left out, or are an error.
struct ElfFile {
  enum class Entry { missing, function, variable, mangled, hidden };
  struct AbiNote {
    std::uint32_t size = 0;
    std::uint16_t major = 0;
    std::uint16_t minor = 0;
    std::uint32_t flags = 0;
  };

  std::vector<std::string> needed;    // DT_NEEDED, in order
  std::vector<std::string> run_path;  // parts of DT_RUNPATH, else of DT_RPATH
  bool old_run_path = false;          // run_path is from DT_RPATH
  bool executable_stack = false;
  bool text_relocations = false;
  bool static_tls = false;
  std::uint64_t tls_size = 0;       // bytes for each thread
  std::vector<std::string> unique;  // names of defined STB_GNU_UNIQUE symbols
  bool program = false;             // a PIE program, which cannot be loaded as a library
  bool symbolic = false;            // linked with -Bsymbolic: calls to its own symbols stay inside
  // From the section headers. Unknown without them; the library still works.
  bool has_symbols = false;
  std::string entry_name = "liveswap_main";
  Entry entry = Entry::missing;  // the function `entry_name`
  Entry main = Entry::missing;   // main(), as in a program
  bool selftest = false;         // liveswap_selftest is exported
  std::optional<AbiNote> abi_note;
  bool waits = false;  // calls a function that can block
  bool go = false;     // contains code of the Go compiler
  // Functions that show how a server works (names.cpp), in file order:
  std::vector<std::string> imports;   // undefined here
  std::vector<std::string> exports;   // defined and exported
  std::vector<std::string> internal;  // defined but hidden or static

  static Result<ElfFile> read(const std::string& path, const std::string& entry = "liveswap_main");
  // The same for the content; `path`: for errors.
  static Result<ElfFile> parse(const Bytes& content, const std::string& path, const std::string& entry);
};

}  // namespace liveswap::checks
