#include "master/workers/cgroups.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <thread>
#include <utility>

#include "base/log.hpp"
#include "base/text.hpp"
#include "base/unique_fd.hpp"
#include "spawn/clone_into.hpp"

namespace liveswap::master {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view prefix = "liveswap-";
// More directories than that are of somebody else, or hostile.
constexpr int tries = 16;
constexpr std::size_t read_at_most = 64;
constexpr std::chrono::milliseconds until_frozen{20};

std::string file_text(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

bool has_event(const std::string& cgroup, std::string_view event) {
  return !cgroup.empty() && file_text(cgroup + "/cgroup.events").find(event) != std::string::npos;
}

bool write_digit(const std::string& cgroup, const std::string& name, char digit) {
  if (cgroup.empty()) return false;
  const auto file = UniqueFd::adopt(::open((cgroup + "/" + name).c_str(), O_WRONLY | O_CLOEXEC));
  return file && ::write(file.get(), &digit, 1) == 1;
}

template <class Tell>
void each_part(std::string_view text, char separator, const Tell& tell) {
  while (!text.empty()) {
    const auto end = std::min(text.find(separator), text.size());
    tell(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
}

// Mountinfo writes a space, tab, newline and backslash as three octal digits.
std::string unescaped(std::string_view text) {
  constexpr std::size_t length = 4;
  std::string found;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto digits = text.substr(i, length);
    if (digits.size() == length && digits[0] == '\\' &&
        digits.find_first_not_of("01234567", 1) == std::string_view::npos) {
      found += static_cast<char>((digits[1] - '0') * 64 + (digits[2] - '0') * 8 + (digits[3] - '0'));
      i += length - 1;
    } else {
      found += text[i];
    }
  }
  return found;
}

// The path within the hierarchy of version 2, from "0::/system.slice/app.service". Empty: there is none, or a
// cgroup namespace hides it.
std::string membership_in(std::string_view text) {
  std::string found;
  each_part(text, '\n', [&](std::string_view line) {
    constexpr std::string_view version_2 = "0::";
    if (line.starts_with(version_2)) found = line.substr(version_2.size());
  });
  return found.starts_with("/..") ? "" : found;
}

// "38 31 0:38 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw": field 4 is the directory of the file
// system that field 5 shows; the type comes after the "-".
std::optional<std::string> place_in(std::string_view line, const std::string& membership) {
  constexpr std::size_t root_at = 3, mount_at = 4;
  std::vector<std::string_view> fields;
  each_part(line, ' ', [&](std::string_view field) { fields.push_back(field); });
  const auto dash = std::find(fields.begin(), fields.end(), "-");
  if (fields.end() - dash < 2 || dash[1] != "cgroup2" || dash - fields.begin() <= int{mount_at})
    return std::nullopt;
  const std::string root = unescaped(fields[root_at]), mount = unescaped(fields[mount_at]);
  if (root == "/") return membership == "/" ? mount : mount + membership;
  if (membership == root) return mount;
  if (membership.starts_with(root + "/")) return mount + membership.substr(root.size());
  return std::nullopt;
}

bool has_value_1(const std::string& path, const char* attribute) {
  char value = 0;
  return ::getxattr(path.c_str(), attribute, &value, 1) == 1 && value == '1';
}

bool is_of(std::string_view name, pid_t master) {
  return name.starts_with(fmt::format("{}{}-", prefix, master));
}

// The pid in "liveswap-12-3"; 0: another name.
pid_t master_in(std::string_view name) {
  if (!name.starts_with(prefix)) return 0;
  name.remove_prefix(prefix.size());
  return number_in<pid_t>(name.substr(0, name.find('-'))).value_or(0);
}

// The cgroups below, each before those below it.
std::vector<std::string> below(const std::string& cgroup) {
  std::vector<std::string> found;
  std::error_code failed;
  fs::recursive_directory_iterator entry(cgroup, failed), end;
  for (; !failed && entry != end && found.size() < read_at_most; entry.increment(failed)) {
    std::error_code gone;
    if (fs::is_directory(entry->symlink_status(gone))) found.push_back(entry->path().string());
  }
  return found;
}

// A cgroup with a living process stays.
bool remove_empty(const std::string& cgroup) {
  if (::rmdir(cgroup.c_str()) == 0 || errno == ENOENT) return true;
  if (is_populated(cgroup)) return false;
  auto inner = below(cgroup);
  for (auto one = inner.rbegin(); one != inner.rend(); ++one) ::rmdir(one->c_str());
  return ::rmdir(cgroup.c_str()) == 0;
}

// The cgroups below the directory that masters have made which are `old`.
template <class IsOld>
std::vector<std::string> cgroups_of(const std::string& directory, const IsOld& is_old) {
  std::vector<std::string> found;
  std::error_code failed;
  for (fs::directory_iterator entry(directory, failed), end; !failed && entry != end; entry.increment(failed))
    if (const pid_t master = master_in(entry->path().filename().string()); master != 0 && is_old(master))
      found.push_back(entry->path().string());
  return found;
}

// "liveswap-12-3", if a worker of a master has started the process. Empty: none, or the process has ended.
std::string cgroup_name_of(pid_t pid) {
  std::string found;
  each_part(membership_in(file_text(fmt::format("/proc/{}/cgroup", pid))), '/', [&](std::string_view name) {
    if (found.empty() && master_in(name) != 0) found = name;
  });
  return found;
}

// The highest number in a name of this process' cgroups. A program that has replaced the one that made them
// does not use these names again.
unsigned highest_number(const std::string& directory) {
  unsigned highest = 0;
  std::error_code failed;
  for (fs::directory_iterator entry(directory, failed), end; !failed && entry != end;
       entry.increment(failed)) {
    const std::string name = entry->path().filename();
    if (is_of(name, ::getpid()))
      highest = std::max(highest, number_in<unsigned>(name.substr(name.rfind('-') + 1)).value_or(0));
  }
  return highest;
}

void add_members(const std::string& cgroup, std::vector<pid_t>& members) {
  std::ifstream file(cgroup + "/cgroup.procs");
  // 0: a process in another pid namespace.
  for (pid_t pid = 0; file >> pid;)
    if (pid > 0) members.push_back(pid);
}

}  // namespace

std::optional<std::string> cgroup_directory(std::string_view mounts, std::string_view memberships) {
  const auto membership = membership_in(memberships);
  std::optional<std::string> found;
  if (membership.empty()) return found;
  each_part(mounts, '\n', [&](std::string_view line) {
    if (!found) found = place_in(line, membership);
  });
  return found;
}

// systemd marks the directories of units with Delegate=. Without the capability CAP_SYS_ADMIN a process can
// read user.* attributes only.
bool is_delegated(const std::string& directory) {
  if (::access("/run/systemd/system", F_OK) != 0) return true;
  return has_value_1(directory, "user.delegate") || has_value_1(directory, "trusted.delegate");
}

Cgroups Cgroups::of_this_process() {
  const auto directory = cgroup_directory(file_text("/proc/self/mountinfo"), file_text("/proc/self/cgroup"));
  if (!directory || !is_delegated(*directory)) return {};
  Cgroups found(*directory);
  const auto is_old = [](pid_t master) {
    return master == ::getpid() || (::kill(master, 0) != 0 && errno == ESRCH);
  };
  for (const auto& cgroup : cgroups_of(*directory, is_old)) {
    thaw(cgroup);
    remove_empty(cgroup);
  }
  found.made_ = highest_number(*directory);
  // The directory may be read-only, the kernel older than 5.14, or a container's filter forbid clone3().
  const auto trial = found.make();
  const bool works = ::access((trial + "/cgroup.kill").c_str(), W_OK) == 0 && spawn::can_clone_into(trial);
  found.remove(trial);
  if (!works) return {};
  log::info("each worker starts in a cgroup of its own below {}", *directory);
  return found;
}

Cgroups::Cgroups(Cgroups&& other) noexcept
    : directory_(std::exchange(other.directory_, {})),
      made_(other.made_),
      full_(std::exchange(other.full_, {})) {}

Cgroups::~Cgroups() {
  if (directory_.empty()) return;
  try {
    for (const auto& cgroup : cgroups_of(directory_, [](pid_t master) { return master == ::getpid(); }))
      remove_empty(cgroup);
  } catch (...) {
    // No memory: the next master removes them.
  }
}

// A name may be taken: by a process that a dead master with the same pid has left.
std::string Cgroups::make() {
  for (int i = 0; i < tries && !directory_.empty(); ++i) {
    auto path = fmt::format("{}/{}{}-{}", directory_, prefix, ::getpid(), ++made_);
    if (::mkdir(path.c_str(), 0755) == 0) return path;
    if (errno != EEXIST) break;
  }
  return {};
}

// A worker that has ended is in no cgroup any more.
std::string Cgroups::of(pid_t worker, const std::string& kept) const {
  const auto name = cgroup_name_of(worker);
  if (!directory_.empty() && is_of(name, ::getpid())) return directory_ + "/" + name;
  const fs::path path(kept);
  std::error_code failed;
  const bool fits = path.is_absolute() && master_in(path.filename().string()) != 0 &&
                    fs::is_directory(fs::symlink_status(path, failed));
  return fits && (name.empty() || path.filename() == name) ? kept : "";
}

void Cgroups::remove(const std::string& cgroup) {
  if (!cgroup.empty()) full_.push_back(cgroup);
  std::erase_if(full_, remove_empty);
}

bool is_populated(const std::string& cgroup) { return has_event(cgroup, "populated 1"); }

std::vector<pid_t> members_of(const std::string& cgroup) {
  std::vector<pid_t> members;
  if (!is_populated(cgroup)) return members;
  add_members(cgroup, members);
  for (const auto& one : below(cgroup)) add_members(one, members);
  return members;
}

bool kill_all(const std::string& cgroup) { return write_digit(cgroup, "cgroup.kill", '1'); }

// The other constructor has made a whole object, so that the destructor runs also if this one throws.
Frozen::Frozen(const std::vector<std::string>& cgroups) : Frozen() {
  using Clock = std::chrono::steady_clock;
  switches_.reserve(cgroups.size());
  for (const auto& cgroup : cgroups) {
    switches_.push_back(UniqueFd::adopt(::open((cgroup + "/cgroup.freeze").c_str(), O_WRONLY | O_CLOEXEC)));
    if (switches_.back() && ::write(switches_.back().get(), "1", 1) != 1) switches_.back().reset();
  }
  const auto end = Clock::now() + until_frozen;
  for (std::size_t i = 0; i < cgroups.size(); ++i)
    while (switches_[i] && !has_event(cgroups[i], "frozen 1") && Clock::now() < end)
      std::this_thread::sleep_for(std::chrono::microseconds(100));
}

Frozen::~Frozen() {
  for (const UniqueFd& one : switches_) {
    [[maybe_unused]] const ssize_t written = one ? ::write(one.get(), "0", 1) : 0;
  }
}

void thaw(const std::string& cgroup) { write_digit(cgroup, "cgroup.freeze", '0'); }

bool is_in_cgroup_of_worker(pid_t pid) { return is_of(cgroup_name_of(pid), ::getpid()); }

}  // namespace liveswap::master
