// Overwrites what runs in place, as cp, a linker or strip may do: same inode, other bytes. Uses a copy of the
// user's file or directory.
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>

#include "verify/stage.hpp"

namespace liveswap::verify {
namespace {

namespace fs = std::filesystem;

// Time for the workers to touch pages that were not yet loaded.
constexpr Milliseconds exposure{700};

Result<void> overwrite_file(const std::string& path) {
  const auto file = UniqueFd::adopt(::open(path.c_str(), O_WRONLY | O_TRUNC | O_CLOEXEC));
  if (!file) return os_fail("overwrite", path, errno);
  const std::string text(64 * 1024, '#');
  if (::write(file.get(), text.data(), text.size()) < 0) return os_fail("overwrite", path, errno);
  return {};
}

// The file, or all files of the directory.
Result<void> overwrite(const std::string& path) {
  std::error_code failed;
  if (!fs::is_directory(path, failed)) return overwrite_file(path);
  fs::recursive_directory_iterator entry(path, failed), end;
  for (; !failed && entry != end; entry.increment(failed)) {
    std::error_code unknown;
    if (!entry->is_regular_file(unknown) || entry->is_symlink(unknown)) continue;
    if (auto written = overwrite_file(entry->path()); !written) return written;
  }
  if (failed) return os_fail("list", path, failed.value());
  return {};
}

Result<std::string> overwrite_what_runs(Stage& stage, const std::string& copy) {
  const auto there = stage.application.upgrade(copy);
  if (there.outcome.status != ok) return fail("a copy of it cannot be run: " + there.outcome.text);
  const auto before = stage.application.snapshot();
  if (!before) return tl::unexpected<Error>(before.error());
  if (auto written = overwrite(copy); !written) return tl::unexpected<Error>(written.error());
  stage.interrupt.pause(exposure);
  const auto after = stage.application.snapshot();
  if (!after) return tl::unexpected<Error>(after.error());
  const auto old = before->pids(), now = after->pids();
  const auto dead = std::count_if(old.begin(), old.end(), [&](pid_t pid) { return !now.contains(pid); });
  if (dead > 0) return fail(fmt::format("{} of {} workers died", dead, old.size()));
  auto respawned = kill_worker(stage);
  if (!respawned)
    return fail("no worker could be started from what was committed: " + respawned.error().text);
  return std::string("no worker died; one that was killed came back with the same code");
}

}  // namespace

FaultFinding inject_overwrite(Stage& stage) {
  FaultFinding finding{Fault::overwrite, false, "nobody notices", "", {}};
  const auto copy = stage.place.copy_release(stage.current);
  if (!copy) {
    finding.found = copy.error().text;
    return finding;
  }
  const auto came = overwrite_what_runs(stage, *copy);
  finding.as_expected = came.has_value();
  finding.found = came ? *came : came.error().text;
  const auto back = stage.application.upgrade(stage.current);
  if (back.outcome.status == ok) return finding;
  finding.as_expected = false;
  finding.found += "; and the upgrade to the file that is whole failed: " + back.outcome.text;
  return finding;
}

}  // namespace liveswap::verify
