#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/error.hpp"

namespace liveswap::preflight {

// What the ELF headers of a shared library of this machine say, as far as a check asks. The file is not trusted:
// whatever lies outside of it, or is larger than a library has reason for, is left out or an error.
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
  bool executable_stack = false;
  bool text_relocations = false;
  bool static_tls = false;
  std::uint64_t tls_size = 0;           // bytes that each thread gets
  std::vector<std::string> unique;      // names of defined STB_GNU_UNIQUE symbols
  // From the section headers; a library without any works, and these are then not known.
  bool has_symbols = false;
  std::string entry_name;               // that was looked for
  Entry entry = Entry::missing;
  bool selftest = false;                // liveswap_selftest is exported
  std::optional<AbiNote> abi_note;

  static Result<ElfFile> read(const std::string& path, const std::string& entry = "liveswap_main");
};

}  // namespace liveswap::preflight
