#pragma once

#include <map>
#include <string>
#include <vector>

#include "check/elf_file.hpp"
#include "check/origin.hpp"
#include "check/trial.hpp"
#include "liveswap.hpp"

// What is known of a library, as findings for people. Pure.
namespace liveswap::preflight {

using Findings = std::vector<CheckFinding>;

// `path` is what the texts call the library.
Findings elf_findings(const std::string& path, const ElfFile& file, const PrivateLibraries& libraries);

// `output` is what the dynamic loader wrote with LD_TRACE_LOADED_OBJECTS, LD_WARN and LD_BIND_NOW set. `library_path`:
// whether LD_LIBRARY_PATH is set here, which workers do not get.
Findings link_findings(const std::string& path, const std::string& output, bool library_path);

Findings trial_findings(const std::string& path, const Trial& trial, Milliseconds limit);

}  // namespace liveswap::preflight
