#include "release/sha256.hpp"

#include <sha256.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <vector>

namespace liveswap::release {
namespace {

constexpr std::size_t hash_piece = std::size_t{256} * 1024;

class Digest {
 public:
  Digest() { ::SHA256_Init(&state_); }
  void add(const char* bytes, std::size_t size) {
    ::SHA256_Update(&state_, reinterpret_cast<const std::uint8_t*>(bytes), size);
  }
  std::string hex() {
    std::uint8_t digest[SHA256_DIGEST_LENGTH];
    ::SHA256_Final(digest, &state_);
    std::string text;
    for (const auto byte : digest) {
      text += "0123456789abcdef"[byte >> 4];
      text += "0123456789abcdef"[byte & 15];
    }
    return text;
  }

 private:
  SHA256_CTX state_;
};

template <class Take>
Result<void> each_piece(int fd, const std::string& shown, const Take& take) {
  std::vector<char> bytes(hash_piece);
  for (off_t at = 0;;) {
    const ssize_t n = ::pread(fd, bytes.data(), bytes.size(), at);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return os_fail("read", shown, errno);
    if (n == 0) return {};
    take(bytes.data(), static_cast<std::size_t>(n));
    at += n;
  }
}

}  // namespace

Result<std::string> sha256_of_file(int fd, const std::string& shown) {
  Digest digest;
  const auto read =
      each_piece(fd, shown, [&](const char* bytes, std::size_t size) { digest.add(bytes, size); });
  if (!read) return tl::unexpected<Error>(read.error());
  return digest.hex();
}

Result<void> read_whole(int fd, const std::string& shown) {
  return each_piece(fd, shown, [](const char*, std::size_t) {});
}

std::string sha256_of(std::string_view bytes) {
  Digest digest;
  digest.add(bytes.data(), bytes.size());
  return digest.hex();
}

bool is_id(std::string_view text) {
  return text.size() == std::size_t{2} * SHA256_DIGEST_LENGTH &&
         text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

}  // namespace liveswap::release
