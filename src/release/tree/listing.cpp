#include "release/tree/listing.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <memory>
#include <optional>

#include "base/unique_fd.hpp"
#include "release/tree/manifest.hpp"

namespace liveswap::release {
namespace {

using ListStep = tl::expected<void, ListError>;

// NFS renames a removed file that is still open to such a name, and removes it later.
constexpr std::string_view nfs_prefix = ".nfs";

constexpr std::string_view system_places[]{"/usr/",   "/bin/",   "/sbin/",   "/lib/",
                                           "/lib32/", "/lib64/", "/libx32/", "/etc/"};

tl::unexpected<ListError> not_allowed(std::string text) {
  return tl::unexpected<ListError>(ListError{{std::move(text)}, 0});
}

tl::unexpected<ListError> os_listing(const std::string& operation, const std::string& object, int number) {
  return tl::unexpected<ListError>(ListError{os_error(operation, object, number), number});
}

const char* type_of(mode_t mode) {
  switch (mode & S_IFMT) {
    case S_IFIFO: return "a FIFO";
    case S_IFSOCK: return "a socket";
    default: return "a device";
  }
}

// The names in a directory, at most one more than the limit.
tl::expected<std::vector<std::string>, int> names_in(int directory) {
  const int own = ::openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (own < 0) return tl::unexpected<int>(errno);
  const std::unique_ptr<DIR, int (*)(DIR*)> opened(::fdopendir(own), ::closedir);
  if (!opened) {
    const int number = errno;
    ::close(own);
    return tl::unexpected<int>(number);
  }
  std::vector<std::string> names;
  for (errno = 0; names.size() <= tree_entries_limit; errno = 0) {
    const dirent* entry = ::readdir(opened.get());
    if (!entry && errno != 0) return tl::unexpected<int>(errno);
    if (!entry) break;
    const std::string_view name = entry->d_name;
    if (name != "." && name != "..") names.emplace_back(name);
  }
  return names;
}

class TreeWalk {
 public:
  // `rules` and `trust`: null for a tree in the store.
  TreeWalk(std::string shown, const Trust* trust, const IgnoreRules* rules)
      : shown_(std::move(shown)), trust_(trust), rules_(rules) {}

  Listed run(int top) {
    if (auto done = directory(top, "", 0); !done) return tl::unexpected<ListError>(done.error());
    std::sort(entries_.begin(), entries_.end(),
              [](const TreeEntry& a, const TreeEntry& b) { return a.path < b.path; });
    return std::move(entries_);
  }

 private:
  std::string named(const std::string& path) const { return printable(path_below(shown_, path)); }

  ListStep directory(int fd, const std::string& path, std::size_t depth);
  ListStep each(int above, const std::string& path, const std::string& name, std::size_t depth);
  ListStep link(int above, const std::string& name, TreeEntry entry);
  ListStep check_name(const std::string& path, const std::string& name, std::size_t depth) const;
  ListStep add(TreeEntry entry, const struct stat& info);

  std::string shown_;
  const Trust* trust_;
  const IgnoreRules* rules_;
  std::vector<TreeEntry> entries_;
  std::uint64_t bytes_ = 0;
};

ListStep TreeWalk::directory(int fd, const std::string& path, std::size_t depth) {
  struct stat info {};
  if (::fstat(fd, &info) != 0) return os_listing("look at", named(path), errno);
  TreeEntry entry;
  entry.path = path;
  entry.kind = TreeEntry::Kind::directory;
  if (auto added = add(std::move(entry), info); !added) return added;
  auto names = names_in(fd);
  if (!names) return os_listing("read directory", named(path), names.error());
  for (const auto& name : *names)
    if (auto done = each(fd, path, name, depth + 1); !done) return done;
  return {};
}

ListStep TreeWalk::check_name(const std::string& path, const std::string& name, std::size_t depth) const {
  if (name.find('\n') != std::string::npos)
    return not_allowed(named(path) + " has a line break in its name: rename it or name it in " +
                       IgnoreRules::file_name);
  if (path.size() > tree_path_limit)
    return not_allowed(fmt::format("{} has {} bytes in its path below {}, expected at most {}", named(path),
                                   path.size(), shown_, tree_path_limit));
  if (depth > tree_depth_limit)
    return not_allowed(fmt::format("{} is {} directories below {}, expected at most {}", named(path), depth,
                                   shown_, tree_depth_limit));
  return {};
}

ListStep TreeWalk::each(int above, const std::string& path, const std::string& name, std::size_t depth) {
  struct stat info {};
  TreeEntry entry;
  entry.path = path.empty() ? name : path + "/" + name;
  if (!rules_ && name.starts_with(nfs_prefix)) return {};
  if (::fstatat(above, name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0)
    return os_listing("look at", named(entry.path), errno);
  if (rules_ && rules_->ignores(entry.path, S_ISDIR(info.st_mode))) return {};
  if (auto checked = check_name(entry.path, name, depth); !checked) return checked;
  if (S_ISREG(info.st_mode)) return add(std::move(entry), info);
  if (S_ISLNK(info.st_mode)) {
    entry.kind = TreeEntry::Kind::link;
    entry.stamp = stamp_of(info);
    return link(above, name, std::move(entry));
  }
  if (!S_ISDIR(info.st_mode))
    return not_allowed(fmt::format(
        "{} is {}, expected files, directories and symbolic links: remove it, name it in {}, or have the "
        "application make it in its working directory",
        named(entry.path), type_of(info.st_mode), IgnoreRules::file_name));
  const auto fd = UniqueFd::adopt(
      ::openat(above, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  if (!fd) return os_listing("open directory", named(entry.path), errno);
  return directory(fd.get(), entry.path, depth);
}

ListStep TreeWalk::link(int above, const std::string& name, TreeEntry entry) {
  char target[PATH_MAX];
  const ssize_t size = ::readlinkat(above, name.c_str(), target, sizeof target);
  if (size < 0) return os_listing("read the symbolic link", named(entry.path), errno);
  entry.target.assign(target, static_cast<std::size_t>(size));
  if (entry.target.find('\n') != std::string::npos)
    return not_allowed(named(entry.path) + " is a symbolic link with a line break in its target: rename it");
  if (rules_ && !is_allowed_link(entry.path, entry.target))
    return not_allowed(fmt::format(
        "{} is a symbolic link to {}, which leads out of {}, and a release has to hold all of its files: put "
        "the target itself in its place, make it a relative link to a path inside with .. only at its "
        "beginning, or name it in {} (links to absolute paths below /usr, /bin, /lib and /etc stay as they "
        "are)",
        named(entry.path), printable(entry.target), shown_, IgnoreRules::file_name));
  struct stat info {};
  info.st_mode = S_IFLNK;
  return add(std::move(entry), info);
}

ListStep TreeWalk::add(TreeEntry entry, const struct stat& info) {
  if (entries_.size() >= tree_entries_limit)
    return not_allowed(fmt::format(
        "{} has more than {} files and directories: name what the application does not need in {}", shown_,
        tree_entries_limit, IgnoreRules::file_name));
  if (entry.kind != TreeEntry::Kind::link) {
    entry.stamp = stamp_of(info);
    entry.mode = rules_ ? stored_mode(entry.kind, info.st_mode) : info.st_mode & 07777;
    if (trust_)
      if (auto trusted = check_trust(info, named(entry.path), *trust_); !trusted)
        return not_allowed(trusted.error().text);
  }
  if (entry.is_file()) bytes_ += entry.stamp.size;
  if (bytes_ > tree_bytes_limit)
    return not_allowed(
        fmt::format("{} has more than {} bytes in its files, {} of them in {}: name what the application "
                    "does not need in {}",
                    shown_, tree_bytes_limit, entry.stamp.size, named(entry.path), IgnoreRules::file_name));
  entries_.push_back(std::move(entry));
  return {};
}

}  // namespace

Listed list_source(int directory, const std::string& shown, const Trust& trust, const IgnoreRules& rules) {
  return TreeWalk(shown, &trust, &rules).run(directory);
}

Listed list_stored(const std::string& directory) {
  const auto top = UniqueFd::adopt(
      ::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  if (!top) return os_listing("open directory", directory, errno);
  return TreeWalk(directory, nullptr, nullptr).run(top.get());
}

bool is_allowed_link(const std::string& path, std::string_view target) {
  const bool is_absolute = target.starts_with('/');
  auto above = static_cast<std::size_t>(is_absolute ? 0 : std::count(path.begin(), path.end(), '/'));
  if (target == "/dev/null") return true;
  if (is_absolute && std::none_of(std::begin(system_places), std::end(system_places),
                                  [&](std::string_view place) { return target.starts_with(place); }))
    return false;
  bool named = is_absolute;
  while (!target.empty()) {
    const auto part = target.substr(0, target.find('/'));
    target.remove_prefix(std::min(part.size() + 1, target.size()));
    if (part.empty() || part == ".") continue;
    if (part != "..") {
      named = true;
    } else if (named || above-- == 0) {
      return false;
    }
  }
  return true;
}

}  // namespace liveswap::release
