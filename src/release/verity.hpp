#pragma once

#include <map>
#include <string>
#include <string_view>

namespace liveswap::release {

// fs-verity (fsverity.rst of the kernel's documentation): a file that has it can never be written to again,
// and the kernel checks each page when it is read from the disk. A digest names the whole content, and takes
// microseconds to get, since only the root of a tree of hashes is read. ext4, f2fs and btrfs have it, if the
// kernel does and, for ext4 and f2fs, the file system was made with it.

// Gives fs-verity to a file. `fd`: open for reading only; no descriptor may be open for writing, and this
// user must have the right to write. Reads the file once. False: the file stays without.
bool enable_verity(int fd);

// "sha256:" and the digest in hex; empty: the file has no fs-verity. Two files with the same digest have the
// same content.
std::string verity_digest(int fd);

// The hashes of files by their digests, so that files of a release with fs-verity need not be hashed again.
// Kept beside the release, in a file that is trusted as HEAD is.
class KnownDigests {
 public:
  // Of the release in that directory. What cannot be read is not known.
  static KnownDigests of(const std::string& directory);

  // The SHA-256 of the content; empty: not known.
  std::string hash_of(const std::string& digest) const;
  void add(const std::string& digest, const std::string& hash);
  void add(const KnownDigests& others);
  // Writes the file, if it would change. Failures are ignored: the files are hashed the next time.
  void keep_for(const std::string& directory) const;

  // Lines of digest and hash; others are left out. Pure.
  static KnownDigests parse(std::string_view text);
  std::string text() const;

 private:
  std::map<std::string, std::string> hashes_;
};

// The path of that file: beside the directory, since the files within belong to the release.
std::string digests_path(const std::string& directory);
// Whether `name` is that of such a file, and of which release; empty: of none.
std::string release_of_digests(std::string_view name);

}  // namespace liveswap::release
