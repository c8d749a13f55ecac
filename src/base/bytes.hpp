#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace liveswap {

// Bounded random access to the bytes of a file or of a text in memory, for formats that contain offsets.
class Bytes {
 public:
  // Borrows the descriptor and leaves its offset alone. Anything but a regular file has size 0.
  explicit Bytes(int fd);
  explicit Bytes(std::string_view text) : text_(text), size_(text.size()) {}

  std::uint64_t size() const { return size_; }
  // Whether all `size` bytes at `at` exist. The sum of the two never overflows.
  bool has(std::uint64_t at, std::uint64_t size) const { return at <= size_ && size <= size_ - at; }
  // Reads exactly `size` bytes; false if they are not there.
  bool read(std::uint64_t at, void* to, std::size_t size) const;

 private:
  int fd_ = -1;
  std::string_view text_;
  std::uint64_t size_ = 0;
};

}  // namespace liveswap
