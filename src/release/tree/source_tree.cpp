#include "release/tree/source_tree.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "release/sha256.hpp"
#include "release/tree/listing.hpp"
#include "release/tree/manifest.hpp"

namespace liveswap::release {
namespace {

bool is_same(const TreeEntry& a, const TreeEntry& b) {
  return a.path == b.path && a.kind == b.kind && a.target == b.target && a.stamp == b.stamp;
}

bool has_gone(int number) { return number == ENOENT || number == ENOTDIR || number == ELOOP; }

}  // namespace

std::optional<SourceTree> SourceTree::open(const std::string& path, const Trust& trust) {
  auto fd = UniqueFd::adopt(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NONBLOCK | O_CLOEXEC));
  return fd ? std::optional<SourceTree>(SourceTree(std::move(fd), path, trust)) : std::nullopt;
}

tl::unexpected<Error> SourceTree::changed_meanwhile(const std::string& object) {
  changed_ = true;
  return fail(
      printable(object) +
      " was changed while it was read: is a build or a copy still running? Try again when it has ended");
}

Result<IgnoreRules> SourceTree::read_rules() {
  const std::string shown = path_ + "/" + IgnoreRules::file_name;
  struct stat info {};
  if (::fstatat(fd_.get(), IgnoreRules::file_name, &info, AT_SYMLINK_NOFOLLOW) != 0 && errno == ENOENT)
    return IgnoreRules();
  const auto source = Source::open(fd_.get(), IgnoreRules::file_name, shown, trust_, Links::refused);
  if (!source) return tl::unexpected<Error>(source.error());
  if (source->size() > IgnoreRules::size_limit)
    return fail(
        fmt::format("{} has {} bytes, expected at most {}", shown, source->size(), IgnoreRules::size_limit));
  std::string text(source->size(), '\0');
  if (::pread(source->fd(), text.data(), text.size(), 0) != static_cast<ssize_t>(text.size()))
    return changed_meanwhile(shown);
  return IgnoreRules::parse(text, shown);
}

Result<std::vector<TreeEntry>> SourceTree::list() {
  beneath_ = Beneath(fd_.get());
  const auto rules = read_rules();
  if (!rules) return tl::unexpected<Error>(rules.error());
  auto listed = list_source(fd_.get(), path_, trust_, *rules);
  if (listed) return std::move(*listed);
  if (has_gone(listed.error().number)) return changed_meanwhile(path_);
  return tl::unexpected<Error>(listed.error());
}

Result<void> SourceTree::check() {
  const auto listed = list();
  return listed ? Result<void>{} : tl::unexpected<Error>(listed.error());
}

Result<Source> SourceTree::open_file(const TreeEntry& entry) {
  const std::string shown = path_below(path_, entry.path);
  const int above = beneath_.directory(directory_above(entry.path));
  if (above < 0) return changed_meanwhile(shown);
  auto source = Source::open(above, last_name(entry.path), shown, trust_, Links::refused);
  // A file that was removed or replaced by a link since it was listed.
  if (!source && has_gone(errno)) return changed_meanwhile(shown);
  if (!source) return source;
  if (!(stamp_of(source->info()) == entry.stamp)) return changed_meanwhile(shown);
  return source;
}

Result<void> SourceTree::describe() {
  changed_ = false;
  auto listed = list();
  if (!listed) return tl::unexpected<Error>(listed.error());
  for (auto& entry : *listed) {
    if (!entry.is_file()) continue;
    const auto source = open_file(entry);
    if (!source) return tl::unexpected<Error>(source.error());
    auto hash = sha256_of_file(source->fd(), source->shown());
    if (!hash) return tl::unexpected<Error>(hash.error());
    if (!source->unchanged()) return changed_meanwhile(source->shown());
    entry.hash = std::move(*hash);
  }
  entries_ = std::move(*listed);
  if (std::none_of(entries_.begin(), entries_.end(), [](const TreeEntry& one) { return one.is_file(); }))
    return fail(path_ + " has no file that is to be taken: is it the right directory?");
  return {};
}

std::string SourceTree::id() const { return sha256_of(manifest_of(entries_)); }

Result<void> SourceTree::unchanged() {
  const auto now = list();
  if (!now) return tl::unexpected<Error>(now.error());
  const auto [before, after] =
      std::mismatch(entries_.begin(), entries_.end(), now->begin(), now->end(), is_same);
  if (before == entries_.end() && after == now->end()) return {};
  return changed_meanwhile(path_below(path_, before != entries_.end() ? before->path : after->path));
}

}  // namespace liveswap::release
