#pragma once

#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "check/demangled.hpp"
#include "check/elf_file.hpp"
#include "check/private_libraries.hpp"
#include "check/trial.hpp"
#include "liveswap.hpp"

// Findings about a library, for people. Pure.
namespace liveswap::checks {

using Findings = std::vector<CheckFinding>;

// `path`: the library's name in texts; `names`: demangled names of file.unique.
Findings elf_findings(const std::string& path, const ElfFile& file, const PrivateLibraries& libraries,
                      const Names& names = {});

// A library loaded together with the checked one.
struct LinkedLibrary {
  std::string name;     // as in DT_NEEDED: "libuv.so.1"
  bool direct = false;  // needed by the checked library itself
  ElfFile file;
};
using Libraries = std::vector<LinkedLibrary>;

// For an application that opens its own listeners: what the worker host will observe, and what it would
// refuse.
Findings server_findings(const ElfFile& file, const Libraries& libraries);

// For an application with liveswap_main: whether it can block at all. Looks only at the library's own calls.
Findings wait_findings(const ElfFile& file);

// `output`: from the dynamic linker with LD_TRACE_LOADED_OBJECTS, LD_WARN and LD_BIND_NOW. `library_path`:
// LD_LIBRARY_PATH is set here, but will not be for workers. `names`: demangled undefined_symbols(output).
Findings link_findings(const std::string& path, const std::string& output, bool library_path,
                       const Names& names = {});

// Undefined symbols in the same output.
std::vector<std::string> undefined_symbols(const std::string& output);

// Name and path of each loaded library in the same output.
std::vector<std::pair<std::string, std::string>> linked_paths(const std::string& output);

Findings trial_findings(const std::string& path, const Trial& trial, Milliseconds limit);

}  // namespace liveswap::checks
