#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace liveswap {

// The bytes of a file, or of a text in memory, at places that its own content names.
class Bytes {
 public:
  // Borrowed, as is the text below; the offset of the descriptor stays. One that is no regular file has no
  // bytes.
  explicit Bytes(int fd);
  explicit Bytes(std::string_view text) : text_(text), size_(text.size()) {}

  std::uint64_t size() const { return size_; }
  // Whether these `size` bytes are there; no sum of the two overflows.
  bool has(std::uint64_t at, std::uint64_t size) const { return at <= size_ && size <= size_ - at; }
  // All of them, or false.
  bool read(std::uint64_t at, void* to, std::size_t size) const;

 private:
  int fd_ = -1;
  std::string_view text_;
  std::uint64_t size_ = 0;
};

}  // namespace liveswap
