#pragma once

#include <cstdint>
#include <string>

#include "base/error.hpp"

namespace liveswap::release {

// How the bytes of a file get into another, cheapest first.
enum class CopyWay {
  reflink,  // both share the blocks on the disk until one is written to (btrfs, XFS)
  range,    // copy_file_range(): in the kernel, or on the server of a network file system
  bytes,    // read() and write()
};

const char* word(CopyWay way);

// Copies the first `size` bytes of `from` into the empty file `to` (both borrowed; offsets stay) by the first
// way from `first` on that these file systems know. Copies less when the file has become shorter, never more.
// `shown` is the name of the new file in errors. Blocks on the disk.
Result<CopyWay> copy_bytes(int from, int to, std::uint64_t size, const std::string& shown,
                           CopyWay first = CopyWay::reflink);

}  // namespace liveswap::release
