#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <string_view>

#include "check/findings.hpp"
#include "liveswap_plugin.h"

namespace liveswap::checks {
namespace {

using Level = CheckFinding::Level;

constexpr std::size_t names_shown = 3;

constexpr const char* header_advice =
    "include liveswap_plugin.h where it is defined: that makes it extern \"C\" and exports it";
constexpr const char* export_advice =
    "compile the file that has it with -fvisibility=default, or declare it "
    "__attribute__((visibility(\"default\"))); a "
    "version script has to name it";

// For an ordinary program linked as a library: whether the entry can be called, and how to make it so.
void add_program_entry(Findings& findings, const std::string& path, const ElfFile& file) {
  const std::string missing = fmt::format("{} does not export the function {}", path, file.entry_name);
  switch (file.entry) {
    case ElfFile::Entry::function:
      findings.push_back(
          {Level::fine, "entry",
           fmt::format("it exports the function {}, and runs as an ordinary program", file.entry_name), ""});
      return;
    case ElfFile::Entry::variable:
      findings.push_back(
          {Level::error, "entry",
           fmt::format("{} exports {} as a variable, expected a function", path, file.entry_name), ""});
      return;
    case ElfFile::Entry::hidden:
      findings.push_back({Level::error, "entry", missing + "; it has a hidden or static one", export_advice});
      return;
    case ElfFile::Entry::mangled:
      findings.push_back({Level::error, "entry", missing + "; it has a C++ function of that name",
                          "declare it extern \"C\""});
      return;
    case ElfFile::Entry::missing:
      findings.push_back({Level::error, "entry", missing,
                          std::string("link the file that defines it; if it is there, ") + export_advice});
      return;
  }
}

// Explains why liveswap_main is missing.
void add_missing_entry(Findings& findings, const std::string& path, const ElfFile& file) {
  const std::string text = path + " does not export the function liveswap_main";
  if (file.main == ElfFile::Entry::function)
    findings.push_back({Level::error, "entry", text + "; it exports main",
                        "add --entry main to run it as an ordinary program"});
  else if (file.main == ElfFile::Entry::hidden)
    findings.push_back({Level::error, "entry", text + "; it has a main, which is hidden",
                        std::string("to run it as an ordinary program, export main and add --entry main: ") +
                            export_advice});
  else
    findings.push_back({Level::error, "entry", text,
                        "define int liveswap_main(int fd) (liveswap_plugin.h), and link the file that "
                        "defines it; for an ordinary program: --entry main"});
}

void add_entry(Findings& findings, const std::string& path, const ElfFile& file) {
  switch (file.entry) {
    case ElfFile::Entry::function:
      findings.push_back({Level::fine, "entry", "it exports the function liveswap_main", ""});
      return;
    case ElfFile::Entry::variable:
      findings.push_back(
          {Level::error, "entry",
           path + " exports liveswap_main as a variable, expected the function int liveswap_main(int)",
           header_advice});
      return;
    case ElfFile::Entry::mangled:
      findings.push_back(
          {Level::error, "entry",
           path + " does not export the function liveswap_main; it has a C++ function of that name: "
                  "declare it extern \"C\"",
           header_advice});
      return;
    case ElfFile::Entry::hidden:
      findings.push_back({Level::error, "entry",
                          path + " does not export the function liveswap_main; it has a hidden or static one",
                          header_advice});
      return;
    case ElfFile::Entry::missing: add_missing_entry(findings, path, file); return;
  }
}

void add_abi(Findings& findings, const std::string& path, const ElfFile& file) {
  if (!file.abi_note) {
    findings.push_back(
        {Level::fine, "abi", "it has no ABI note, which is optional: taken as contract 1.0", ""});
    return;
  }
  const ElfFile::AbiNote& note = *file.abi_note;
  if (note.size < sizeof note) {
    findings.push_back({Level::error, "abi",
                        fmt::format("{} has a damaged ABI note: found {} bytes, expected at least {}", path,
                                    note.size, sizeof note),
                        "make it with LIVESWAP_ABI_NOTE of liveswap_plugin.h"});
  } else if (note.major != LIVESWAP_ABI_MAJOR) {
    findings.push_back({Level::error, "abi",
                        fmt::format("{} is built for another contract: found {}.{}, expected {}.x", path,
                                    note.major, note.minor, LIVESWAP_ABI_MAJOR),
                        "rebuild it with this version's liveswap_plugin.h"});
  } else {
    findings.push_back(
        {Level::fine, "abi",
         fmt::format("it is built for contract {}.{}{}", note.major, note.minor,
                     (note.flags & LIVESWAP_DEFER_READY) ? ", and says itself when it is ready" : ""),
         ""});
  }
}

void add_memory(Findings& findings, const ElfFile& file) {
  if (file.executable_stack)
    findings.push_back(
        {Level::warning, "executable_stack",
         "it asks for an executable stack: every worker gets one, and newer C libraries refuse to load "
         "it",
         "link with -Wl,-z,noexecstack; the cause is an assembler file without .note.GNU-stack, or "
         "a nested function"});
  if (file.text_relocations)
    findings.push_back(
        {Level::warning, "text_relocations",
         "it has text relocations: its code is not shared between workers, and hardened systems refuse "
         "to load it",
         "compile every part of it, static libraries too, with -fPIC"});
  if (file.static_tls)
    findings.push_back(
        {Level::warning, "static_tls",
         fmt::format("it has static thread-local storage ({} bytes of its own): there is room for very "
                     "little of that in a running process, so that it may load here and not elsewhere",
                     file.tls_size),
         "compile every part of it, static libraries too, without -ftls-model=initial-exec"});
}

// Nested templates have very long names.
std::string shortened(const std::string& name) {
  constexpr std::size_t most = 60;
  return name.size() <= most ? name : name.substr(0, most) + "…";
}

// At most `names_shown` names, and the number of the others. `whole`: does not shorten names (for paths).
std::string shown_names(const std::vector<std::string>& names, bool whole = false) {
  std::vector<std::string> first;
  for (const std::string& name : names)
    if (first.size() < names_shown) first.push_back(whole ? name : shortened(name));
  const std::size_t more = names.size() - first.size();
  return fmt::format("{}{}", fmt::join(first, ", "), more > 0 ? fmt::format(" and {} more", more) : "");
}

// The standard library keeps its unique symbols compatible between versions.
bool is_standard(const std::string& name) {
  constexpr std::string_view guard = "guard variable for ";
  const std::size_t begin = name.rfind(guard, 0) == 0 ? guard.size() : 0;
  return name.compare(begin, 5, "std::") == 0 || name.compare(begin, 11, "__gnu_cxx::") == 0;
}

void add_unique(Findings& findings, const ElfFile& file, const Names& known) {
  std::vector<std::string> names;
  for (const std::string& symbol : file.unique)
    if (const auto& name = name_of(symbol, known); !is_standard(name)) names.push_back(name);
  if (names.empty()) return;
  findings.push_back(
      {Level::warning, "unique_symbols",
       fmt::format(
           "it has {} STB_GNU_UNIQUE symbol{} ({}): another library in the same worker that has one of the "
           "same name shares it, whatever its version",
           names.size(), names.size() == 1 ? "" : "s", shown_names(names)),
       "it does no harm as long as no two libraries of the application bring the same code; g++ "
       "-fno-gnu-unique "
       "avoids it"});
}

bool is_relative(const std::string& place) {
  return place.empty() || (place.front() != '/' && place.front() != '$');
}

void add_relative_places(Findings& findings, const ElfFile& file) {
  for (const std::string& place : file.run_path)
    if (is_relative(place))
      findings.push_back(
          {Level::warning, "relative_path",
           fmt::format("its run path has \"{}\", which is relative to the working directory of the worker",
                       place),
           "use an absolute path, or $ORIGIN for the library's own directory"});
  for (const std::string& needed : file.needed)
    if (needed.find('/') != std::string::npos && is_relative(needed))
      findings.push_back(
          {Level::warning, "relative_path",
           fmt::format("it needs \"{}\", which is relative to the working directory of the worker", needed),
           "give that library a name when it is linked (-Wl,-soname)"});
}

void add_origin(Findings& findings, const ElfFile& file, const PrivateLibraries& libraries) {
  for (const std::string& place : libraries.outside)
    findings.push_back(
        {Level::error, "origin",
         fmt::format("{} is found through $ORIGIN, and outside of the library's own directory: an "
                     "upgrade copies what lies in it or below it",
                     place),
         "put it beside the library, or name its place by an absolute run path"});
  if (!libraries.elsewhere.empty())
    findings.push_back({Level::fine, "needed",
                        fmt::format("it finds {} by an absolute path: an upgrade copies that along with it",
                                    shown_names(libraries.elsewhere, true)),
                        ""});
  if (!libraries.by_rpath.empty())
    findings.push_back(
        {Level::warning, "needed",
         fmt::format("{}: found by DT_RPATH, in which the loader looks before the copy that an upgrade "
                     "makes: a change of the original affects every worker",
                     shown_names(libraries.by_rpath, true)),
         "link with -Wl,--enable-new-dtags, so that it is a DT_RUNPATH"});
  if (!libraries.inside.empty())
    findings.push_back({Level::fine, "origin",
                        fmt::format("it finds {} through $ORIGIN: an upgrade copies that along with it",
                                    shown_names(libraries.inside)),
                        ""});
  else if (libraries.uses_origin && libraries.outside.empty())
    findings.push_back(
        {Level::warning, "origin",
         fmt::format("its run path has $ORIGIN ({}), but no linked library is there: an upgrade "
                     "does not copy libraries that are opened there at run time",
                     fmt::join(file.run_path, ":")),
         "link with what it needs, or open it by an absolute path"});
}

}  // namespace

Findings elf_findings(const std::string& path, const ElfFile& file, const PrivateLibraries& libraries,
                      const Names& names) {
  Findings findings;
  if (file.program) {
    findings.push_back(
        {Level::error, "load", path + " is a program (PIE); expected a shared library",
         "link it with -shared in place of -pie, all of it compiled with -fPIC, and add --entry main"});
    return findings;
  }
  if (file.has_symbols) {
    file.entry_name == "liveswap_main" ? add_entry(findings, path, file)
                                       : add_program_entry(findings, path, file);
    add_abi(findings, path, file);
  }
  add_origin(findings, file, libraries);
  add_relative_places(findings, file);
  add_memory(findings, file);
  add_unique(findings, file, names);
  return findings;
}

}  // namespace liveswap::checks
