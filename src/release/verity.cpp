#include "release/verity.hpp"

#include <linux/fs.h>
#include <linux/fsverity.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "base/file.hpp"
#include "release/sha256.hpp"

namespace liveswap::release {
namespace {

constexpr std::string_view algorithm = "sha256:";
constexpr std::string_view digests_suffix = ".verity";
constexpr std::size_t digest_size = 32;
// A release has 1,000 files at most, and each may have been known by a digest of its own before.
constexpr std::size_t text_limit = std::size_t{1} << 20;

bool enable(int fd, std::uint32_t block_size) {
  fsverity_enable_arg wanted{};
  wanted.version = 1;
  wanted.hash_algorithm = FS_VERITY_HASH_ALG_SHA256;
  wanted.block_size = block_size;
  return ::ioctl(fd, FS_IOC_ENABLE_VERITY, &wanted) == 0;
}

bool is_digest(std::string_view text) {
  return text.starts_with(algorithm) && is_id(text.substr(algorithm.size()));
}

}  // namespace

bool enable_verity(int fd) {
  constexpr std::uint32_t usual = 4096;
  if (enable(fd, usual)) return true;
  // Before Linux 6.3 the blocks must be as large as pages.
  const auto page = static_cast<std::uint32_t>(::sysconf(_SC_PAGESIZE));
  return errno == EINVAL && page != usual && enable(fd, page);
}

std::string verity_digest(int fd) {
  alignas(fsverity_digest) char found[sizeof(fsverity_digest) + digest_size] = {};
  auto* const head = reinterpret_cast<fsverity_digest*>(found);
  head->digest_size = digest_size;
  if (::ioctl(fd, FS_IOC_MEASURE_VERITY, head) != 0 || head->digest_algorithm != FS_VERITY_HASH_ALG_SHA256 ||
      head->digest_size != digest_size)
    return {};
  std::string text(algorithm);
  for (std::size_t i = 0; i < digest_size; ++i) {
    text += "0123456789abcdef"[head->digest[i] >> 4];
    text += "0123456789abcdef"[head->digest[i] & 15];
  }
  return text;
}

KnownDigests KnownDigests::of(const std::string& directory) {
  const auto text = read_small_file(digests_path(directory), text_limit, Links::refused);
  return text ? parse(*text) : KnownDigests();
}

std::string KnownDigests::hash_of(const std::string& digest) const {
  const auto it = hashes_.find(digest);
  return it == hashes_.end() ? "" : it->second;
}

void KnownDigests::add(const std::string& digest, const std::string& hash) {
  if (is_digest(digest) && is_id(hash)) hashes_[digest] = hash;
}

void KnownDigests::add(const KnownDigests& others) {
  hashes_.insert(others.hashes_.begin(), others.hashes_.end());
}

void KnownDigests::keep_for(const std::string& directory) const {
  KnownDigests all = of(directory);
  const auto before = all.text();
  all.add(*this);
  const auto now = all.text();
  if (now == before || now.size() > text_limit) return;
  [[maybe_unused]] const auto kept = replace_file(digests_path(directory), now, 0600);
}

KnownDigests KnownDigests::parse(std::string_view text) {
  KnownDigests found;
  while (!text.empty()) {
    const auto line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    const auto space = line.find(' ');
    if (space != std::string_view::npos)
      found.add(std::string(line.substr(0, space)), std::string(line.substr(space + 1)));
  }
  return found;
}

std::string KnownDigests::text() const {
  std::string text;
  for (const auto& [digest, hash] : hashes_) text += digest + " " + hash + "\n";
  return text;
}

std::string digests_path(const std::string& directory) { return directory + std::string(digests_suffix); }

std::string release_of_digests(std::string_view name) {
  if (!name.ends_with(digests_suffix)) return {};
  name.remove_suffix(digests_suffix.size());
  return is_id(name) ? std::string(name) : "";
}

}  // namespace liveswap::release
