#include "release/release_writer.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>

#include "base/remove_tree.hpp"
#include "base/unique_fd.hpp"
#include "launch/kind.h"
#include "release/disk.hpp"
#include "release/sha256.hpp"

namespace liveswap::release {

Result<ReleaseWriter> ReleaseWriter::make(const std::string& releases) {
  std::string path = releases + "/.new-XXXXXX";
  if (!::mkdtemp(path.data())) return disk_fail("make a directory in", releases, errno);
  return ReleaseWriter(path);
}

ReleaseWriter::~ReleaseWriter() {
  if (path_.empty()) return;
  [[maybe_unused]] const auto removed = remove_tree(path_);  // keep_only() tries again
}

Result<Content> ReleaseWriter::add(const Source& source, const std::string& name) {
  const auto made = make_directories(path_, name);
  if (!made) return tl::unexpected<Error>(made.error());
  directories_.insert(made->begin(), made->end());

  const std::string path = path_ + "/" + name;
  auto copy = UniqueFd::adopt(::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!copy) return disk_fail("make", path, errno);
  const auto way = copy_bytes(source.fd(), copy.get(), source.size(), path);
  if (!way) return tl::unexpected<Error>(way.error());
  way_ = *way;
  if (auto same = source.unchanged(); !same) return tl::unexpected<Error>(same.error());
  const auto file = UniqueFd::adopt(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (!file) return disk_fail("open", path, errno);
  copy.reset();
  // Before the mode, because only a user who may write can do this; before the hash, because nobody can write
  // afterwards. Where the disk is full, the file stays without, and the sync tells of that.
  const bool has_verity = enable_verity(file.get());
  // The kernel executes a program, and another program reads or maps anything else.
  const auto kind = launch_kind_of(file.get(), name.c_str());
  const bool is_executed = kind == LAUNCH_PROGRAM || kind == LAUNCH_UNCLEAR;
  if (::fchmod(file.get(), is_executed ? 0555 : 0444) != 0) return disk_fail("set the mode of", path, errno);
  // A file system that delays allocation may report a full disk only here.
  if (::fsync(file.get()) != 0) return disk_fail("sync", path, errno);
  auto hash = sha256_of_file(file.get(), path);
  if (!hash) return tl::unexpected<Error>(hash.error());
  if (has_verity) digests_.add(verity_digest(file.get()), *hash);
  return Content{std::move(*hash), read_needs(file.get())};
}

Result<void> ReleaseWriter::seal() const {
  for (const auto& directory : directories_)
    if (auto synced = sync_directory(directory); !synced) return synced;
  if (::chmod(path_.c_str(), 0755) != 0) return disk_fail("set the mode of", path_, errno);
  return sync_directory(path_);
}

Result<bool> ReleaseWriter::move_to(const std::string& place) {
  if (::rename(path_.c_str(), place.c_str()) == 0) {
    path_.clear();
    return true;
  }
  if (errno == EEXIST || errno == ENOTEMPTY) return false;
  return disk_fail("move the new release to", place, errno);
}

Result<std::set<std::string>> make_directories(const std::string& root, const std::string& name) {
  std::set<std::string> made;
  for (auto slash = name.find('/'); slash != std::string::npos; slash = name.find('/', slash + 1)) {
    const std::string directory = root + "/" + name.substr(0, slash);
    if (auto there = make_directory(directory, 0755); !there) return tl::unexpected<Error>(there.error());
    made.insert(directory);
  }
  return made;
}

}  // namespace liveswap::release
