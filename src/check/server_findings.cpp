// Findings about an application that opens its own listeners, from its symbols.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <initializer_list>
#include <string_view>

#include "check/findings.hpp"
#include "check/names.hpp"

namespace liveswap::checks {
namespace {

using Level = CheckFinding::Level;
using Names = std::vector<std::string>;

bool has(const Names& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

Names those_of(const Names& names, std::initializer_list<std::string_view> wanted) {
  Names found;
  for (const std::string_view name : wanted)
    if (has(names, name)) found.emplace_back(name);
  return found;
}

bool has_uring(const Names& names) {
  return std::any_of(names.begin(), names.end(),
                     [](const std::string& name) { return name.rfind("io_uring_", 0) == 0; });
}

bool binds(const ElfFile& file) { return has(file.imports, "bind") && has(file.imports, "listen"); }

bool starts_programs(const ElfFile& file) {
  return std::any_of(file.imports.begin(), file.imports.end(),
                     [](const std::string& name) { return name.rfind("exec", 0) == 0 || name == "fexecve"; });
}

// Names of directly linked libraries with the property, or if there are none, of indirectly linked ones. For
// example, an encryption library can listen, but is not what listens in a server.
Names libraries_that(const Libraries& libraries, bool (*is_so)(const ElfFile&)) {
  Names direct, others;
  for (const LinkedLibrary& library : libraries)
    if (is_so(library.file)) (library.direct ? direct : others).push_back(library.name);
  return direct.empty() ? others : direct;
}

// Functions of the library with names that the worker host interposes. `reached`: the library's calls go to
// its own function, so the host does not see them. `bypassed`: they go to the host's function instead.
struct OwnNames {
  Names reached;
  Names bypassed;
};

OwnNames own_names(const ElfFile& file) {
  OwnNames own;
  for (const std::string_view name : interposed_functions()) {
    if (has(file.exports, name)) (file.symbolic ? own.reached : own.bypassed).emplace_back(name);
  }
  // A hidden or static function counts too: these two names are rarely used for anything but the system call.
  for (const std::string_view name : {"bind", "listen"})
    if (has(file.internal, name) && !has(file.imports, name)) own.reached.emplace_back(name);
  return own;
}

void add_listeners(Findings& findings, const ElfFile& file, const Libraries& libraries, const OwnNames& own) {
  const bool drains_itself =
      !those_of(file.imports, {"liveswap_drain_fd", "liveswap_draining", "liveswap_drain_left_ms"}).empty();
  const std::string taken = drains_itself ? ": liveswap takes them over; it drains by itself"
                                          : ": liveswap takes them over, and drains it from outside";
  const Names by = libraries_that(libraries, binds);
  const auto has_own = [&](std::string_view name) {
    return has(own.reached, name) || has(own.bypassed, name);
  };
  if (binds(file))
    findings.push_back({Level::fine, "listeners", "it can bind listeners of its own" + taken, ""});
  else if (!by.empty())
    findings.push_back({Level::fine, "listeners",
                        fmt::format("it can bind listeners of its own, by {}{}", fmt::join(by, ", "), taken),
                        ""});
  else if (file.entry_name != "liveswap_main" && !file.go && !has_own("bind") && !has_own("listen"))
    findings.push_back(
        {Level::warning, "listeners",
         "neither it nor a library that it is linked with uses bind and listen of the C library: a "
         "listener that it makes by system calls of its own is not seen",
         "--intercept seccomp sees these. No change is needed if a module "
         "loaded at run time binds the listeners"});
}

void add_go(Findings& findings, const ElfFile& file) {
  if (!file.go) return;
  findings.push_back(
      {Level::warning, "raw_calls",
       "there is Go in it, which makes its system calls itself: listeners that it binds are not seen",
       "start with --intercept seccomp"});
}

void add_processes(Findings& findings, const ElfFile& file, const Libraries& libraries) {
  const Names forks = those_of(file.imports, {"fork", "vfork", "_Fork"});
  const Names leaves = those_of(file.imports, {"daemon", "setsid"});
  if (has(leaves, "daemon") || (!leaves.empty() && !forks.empty())) {
    Names by = forks;
    by.insert(by.end(), leaves.begin(), leaves.end());
    findings.push_back(
        {Level::warning, "daemon",
         fmt::format("it can make a daemon of itself ({}), which is refused in a worker",
                     fmt::join(by, ", ")),
         "give it its option to stay in the foreground; liveswap start --daemon goes to the background"});
  } else if (!forks.empty() && !starts_programs(file)) {
    findings.push_back(
        {Level::warning, "prefork",
         fmt::format("it makes processes that run no other program ({}): ones that accept connections "
                     "(prefork) are refused in a worker",
                     fmt::join(forks, ", ")),
         "give it its option for one process, or for threads; --forks N makes N workers of it"});
  }
  if (!forks.empty() && !those_of(file.imports, {"accept", "accept4"}).empty())
    findings.push_back(
        {Level::fine, "forks",
         fmt::format("it could make a process for each connection ({} beside {}): a worker that drains waits "
                     "for connections that such processes have; it does not end idle ones of them "
                     "(--keepalive end), so their clients or the drain limit do",
                     fmt::join(forks, ", "), fmt::join(those_of(file.imports, {"accept", "accept4"}), ", ")),
         ""});
  const Names daemons =
      libraries_that(libraries, [](const ElfFile& library) { return has(library.imports, "daemon"); });
  if (!daemons.empty() && !has(leaves, "daemon"))
    findings.push_back({Level::fine, "daemon",
                        fmt::format("by {} it could make a daemon of itself, which is refused in a worker",
                                    fmt::join(daemons, ", ")),
                        ""});
}

void add_uring(Findings& findings, const ElfFile& file, const Libraries& libraries) {
  const Names by =
      libraries_that(libraries, [](const ElfFile& library) { return has_uring(library.imports); });
  const bool itself = has_uring(file.imports) || has_uring(file.exports) || has_uring(file.internal);
  if (!itself && by.empty()) return;
  findings.push_back(
      {Level::fine, "io_uring",
       fmt::format("it can use io_uring{}: accepting by it is taken over and drained; connections that "
                   "are read by it are not handed off to the new code (--keepalive migrate)",
                   itself ? "" : fmt::format(", by {}", fmt::join(by, ", "))),
       ""});
}

void add_own_names(Findings& findings, const ElfFile& file, const OwnNames& own) {
  if (!own.bypassed.empty())
    findings.push_back(
        {Level::warning, "own_names",
         fmt::format("it exports {} of its own: in a worker, calls of that name reach liveswap's instead",
                     fmt::join(own.bypassed, ", ")),
         "make it static or hidden, or give it another name"});
  if (!own.reached.empty())
    findings.push_back(
        {Level::warning, "own_names",
         fmt::format("it calls {} of its own in place of the C library's{}: what is done by that, liveswap "
                     "does not see",
                     fmt::join(own.reached, ", "), file.symbolic ? " (-Bsymbolic)" : ""),
         "link the C library dynamically, without a wrapper of these; or --intercept seccomp"});
}

}  // namespace

Findings server_findings(const ElfFile& file, const Libraries& libraries) {
  Findings findings;
  if (file.program || !file.has_symbols) return findings;
  const OwnNames own = own_names(file);
  add_listeners(findings, file, libraries, own);
  add_go(findings, file);
  // An application with liveswap_main gets its listeners from the master, and controls which processes use
  // them.
  if (file.entry_name != "liveswap_main" || binds(file)) add_processes(findings, file, libraries);
  add_uring(findings, file, libraries);
  add_own_names(findings, file, own);
  return findings;
}

}  // namespace liveswap::checks
