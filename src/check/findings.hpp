#pragma once

#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "check/demangled.hpp"
#include "check/elf_file.hpp"
#include "check/origin.hpp"
#include "check/trial.hpp"
#include "liveswap.hpp"

// What is known of a library, as findings for people. Pure.
namespace liveswap::preflight {

using Findings = std::vector<CheckFinding>;

// `path` is what the texts call the library; `names` are those of file.unique.
Findings elf_findings(const std::string& path, const ElfFile& file, const PrivateLibraries& libraries,
                      const Names& names = {});

// One that the loader loads along with a library.
struct LinkedLibrary {
  std::string name;     // as it is needed: "libuv.so.1"
  bool direct = false;  // the library itself names it
  ElfFile file;
};
using Libraries = std::vector<LinkedLibrary>;

// The functions that the worker host has in place of the C library's, as src/worker/worker.list has them.
std::span<const std::string_view> names_in_host();

// Of an application that is a server by itself: what liveswap will see of it, and what it would refuse.
Findings server_findings(const ElfFile& file, const Libraries& libraries);

// Of an application by the contract: whether it can wait for anything at all. Looks at the library's own
// calls only.
Findings wait_findings(const ElfFile& file);

// `output` is what the dynamic loader wrote with LD_TRACE_LOADED_OBJECTS, LD_WARN and LD_BIND_NOW set.
// `library_path`: whether LD_LIBRARY_PATH is set here, which workers do not get. `names`: of the
// undefined_symbols() in it.
Findings link_findings(const std::string& path, const std::string& output, bool library_path,
                       const Names& names = {});

// Of the same output: the symbols that nothing defines.
std::vector<std::string> undefined_symbols(const std::string& output);

// Of the same output: the name and the path of each library that is loaded along.
std::vector<std::pair<std::string, std::string>> linked_paths(const std::string& output);

Findings trial_findings(const std::string& path, const Trial& trial, Milliseconds limit);

}  // namespace liveswap::preflight
