// liveswap::check(): runs the parts and merges their findings.
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>

#include "base/descriptors.hpp"
#include "base/file.hpp"
#include "base/system_libraries.hpp"
#include "check/findings.hpp"
#include "launch/resolve.h"
#include "liveswap.hpp"
#include "release/tree/source_tree.hpp"
#include "spawn/worker_host.hpp"

namespace liveswap {
namespace {

using namespace checks;
using Level = CheckFinding::Level;

// For demangling all names of one kind.
constexpr Milliseconds names_limit{1'000};

bool has_error(const Findings& findings, std::string_view kind = {}) {
  return std::any_of(findings.begin(), findings.end(), [&](const CheckFinding& finding) {
    return finding.level == Level::error && (kind.empty() || finding.kind == kind);
  });
}

// Runs the dynamic linker as ldd does: it lists everything that is missing and runs no code of the library.
// The traced program is the worker host, so that its exports are found.
Result<ChildEnd> trace(const std::string& host, const std::string& path, const CheckOptions& options) {
  auto variables = options.environment;
  auto& preload = variables["LD_PRELOAD"];
  preload = path + (preload.empty() ? "" : " " + preload);
  variables["LD_TRACE_LOADED_OBJECTS"] = "1";
  variables["LD_WARN"] = "yes";
  variables["LD_BIND_NOW"] = "yes";
  spawn::Request request;
  request.program = host;
  request.arguments = {"liveswap-worker"};
  request.environment = spawn::child_environment(variables);
  return run_child(std::move(request), options.limit, {});
}

Libraries linked_libraries(const ElfFile& file, const std::string& output) {
  Libraries libraries;
  for (auto& [name, path] : linked_paths(output))
    if (auto library = ElfFile::read(path))
      libraries.push_back(
          {name, std::count(file.needed.begin(), file.needed.end(), name) > 0, std::move(*library)});
  return libraries;
}

// Reports missing symbols and libraries; returns the linked libraries.
Libraries add_links(Findings& findings, const std::string& host, const std::string& path, const ElfFile& file,
                    const CheckOptions& options) {
  // The dynamic linker treats these as separators in LD_PRELOAD.
  if (path.find_first_of(" :") != std::string::npos) {
    findings.push_back(
        {Level::warning, "link",
         "the path contains a blank or colon: only the first missing symbol or library is reported", ""});
    return {};
  }
  const bool library_path = ::getenv("LD_LIBRARY_PATH") && options.environment.count("LD_LIBRARY_PATH") == 0;
  const auto end = trace(host, path, options);
  if (!end) {
    findings.push_back({Level::error, "host", end.error().text, ""});
    return {};
  }
  // If the dynamic linker fails, its list is incomplete; the trial load reports the failure.
  const bool complete = end->how == ChildEnd::How::exited && end->number == 0;
  const Names names = demangled(undefined_symbols(end->output), std::min(names_limit, options.limit));
  for (const CheckFinding& finding : link_findings(path, end->output, library_path, names))
    if (complete || finding.level != Level::fine) findings.push_back(finding);
  return linked_libraries(file, end->output);
}

// Findings for a master that runs as root: its store takes only files of root (Trust in release/source.hpp).
void add_trust(Findings& findings, const std::string& path) {
  struct stat status {};
  if (::geteuid() != 0 || ::stat(path.c_str(), &status) != 0 || !S_ISREG(status.st_mode)) return;
  const std::string refused = "a master that runs as root refuses it";
  if (status.st_uid != 0)
    findings.push_back({Level::warning, "trust",
                        fmt::format("its owner is user {}, expected root: {}", status.st_uid, refused),
                        "chown root, or run the master as that user"});
  if ((status.st_mode & 0022) != 0)
    findings.push_back(
        {Level::warning, "trust",
         fmt::format("others may write to it (mode {:04o}): {}", status.st_mode & 07777, refused),
         "chmod go-w"});
}

// What an upgrade would not take of a directory: links that lead out, limits, special files.
void add_tree(Findings& findings, const std::string& path) {
  const auto check = [&](bool privileged) -> Result<void> {
    auto tree = release::SourceTree::open(path, {.privileged = privileged});
    return tree ? tree->check() : Result<void>{};
  };
  if (const auto allowed = check(false); !allowed)
    findings.push_back({Level::error, "open", allowed.error().text, ""});
  else if (const auto trusted = ::geteuid() == 0 ? check(true) : Result<void>{}; !trusted)
    findings.push_back({Level::warning, "trust", trusted.error().text, ""});
}

bool is_among(const std::vector<std::string>& paths, const std::string& path) {
  std::error_code failed;
  return std::any_of(paths.begin(), paths.end(),
                     [&](const std::string& one) { return std::filesystem::equivalent(one, path, failed); });
}

// Libraries loaded from outside of the release and of the system.
void add_outside(Findings& findings, const std::string& path, const PrivateLibraries& along,
                 const Trial& trial) {
  auto known = along.elsewhere;
  known.push_back(path);
  known.insert(known.end(), along.outside.begin(), along.outside.end());
  const auto home = std::filesystem::path(path).parent_path();
  for (const std::string& name : along.inside) known.push_back((home / name).string());
  for (const std::string& one : trial.loaded)
    if (one.find('/') != std::string::npos && !is_system_library(one) && !is_among(known, one))
      findings.push_back(
          {Level::warning, "needed",
           one + " is loaded, and an upgrade does not copy it along: a respawned worker loads what is "
                 "there by then, or finds nothing",
           "have it found by DT_RUNPATH and a plain name (-Wl,--enable-new-dtags, -soname), not by a path in "
           "DT_NEEDED, LD_LIBRARY_PATH or dlopen(); a directory of /etc/ld.so.conf is the system's"});
}

// Adds the findings of the trial load. It reports only the first missing symbol or library; this one is left
// out if `findings` already lists all of them.
void add_trial(Findings& findings, const Findings& found) {
  const bool links = has_error(findings, "missing_symbol") || has_error(findings, "missing_library") ||
                     has_error(findings, "missing_version");
  for (const CheckFinding& finding : found) {
    if (finding.level == Level::error && finding.kind == "load" && links) continue;
    if (finding.level == Level::error && has_error(findings, finding.kind)) continue;
    findings.push_back(finding);
  }
}

std::string all_output(const Trial& trial) {
  std::string output = trial.end.output;
  if (!output.empty() && output.back() != '\n') output += '\n';
  for (const std::string& line : trial.log) output += "liveswap_log: " + line + "\n";
  const auto first = trial.failure.find('\n');
  if (first != std::string::npos) output += trial.failure.substr(first + 1) + "\n";
  return output;
}

void sort_by_weight(Findings& findings) {
  std::stable_sort(findings.begin(), findings.end(),
                   [](const CheckFinding& a, const CheckFinding& b) { return a.level > b.level; });
}

launch_kind kind_of(const std::string& path, const CheckOptions& options) {
  launch_options launch{};
  if (!options.kind.empty()) launch.kind = options.kind.c_str();
  if (!options.start_file.empty()) launch.start = options.start_file.c_str();
  // Which runtime does not matter for the kind.
  if (!options.runtime.run.empty()) launch.runs[launch.run_count++] = "=given";
  return launch_resolve_kind(path.c_str(), &launch);
}

}  // namespace

CheckReport check(const std::string& path, const CheckOptions& options) {
  fill_standard_descriptors();
  CheckReport report;
  report.path = absolute_path(path, current_directory());
  const auto host = spawn::find_worker_host(options.worker_host);
  if (!host) {
    report.findings.push_back({Level::error, "host", host.error().text, "install liveswap whole"});
    return report;
  }
  const bool is_plugin = kind_of(report.path, options) == LAUNCH_PLUGIN;
  PrivateLibraries along;
  if (!is_plugin) {
    add_trust(report.findings, report.path);
    add_tree(report.findings, report.path);
  }
  // If this is no ELF file of this machine, the worker host reports the reason.
  if (const auto file = ElfFile::read(report.path, options.entry); is_plugin && file) {
    along = private_libraries(report.path, *file);
    report.findings = elf_findings(report.path, *file, along,
                                   demangled(file->unique, std::min(names_limit, options.limit)));
    const Libraries libraries = add_links(report.findings, *host, report.path, *file, options);
    for (CheckFinding& finding : server_findings(*file, libraries))
      report.findings.push_back(std::move(finding));
    for (CheckFinding& finding : wait_findings(*file)) report.findings.push_back(std::move(finding));
    add_trust(report.findings, report.path);
  }
  if (const auto trial = run_trial(*host, report.path, options)) {
    add_trial(report.findings, trial_findings(report.path, *trial, options.limit));
    add_outside(report.findings, report.path, along, *trial);
    report.output = all_output(*trial);
  } else {
    report.findings.push_back({Level::error, "host", trial.error().text, ""});
  }
  sort_by_weight(report.findings);
  return report;
}

}  // namespace liveswap
