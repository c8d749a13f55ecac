#pragma once

#include <cstdint>
#include <string>

#include "base/error.hpp"

namespace liveswap::release {

// Ways to copy a file, cheapest first.
enum class CopyWay {
  reflink,  // shared blocks, copied on write (btrfs, XFS)
  range,    // copy_file_range(): in the kernel, or on a network file server
  bytes,    // read() and write()
};

const char* word(CopyWay way);

// Copies the first `size` bytes of `from` to the empty file `to`, by the first supported way from `first` on.
// Borrows both descriptors; their offsets stay. Copies less if the file has been truncated. `shown`: name of
// the new file in errors. Blocks on the disk.
Result<CopyWay> copy_bytes(int from, int to, std::uint64_t size, const std::string& shown,
                           CopyWay first = CopyWay::reflink);

}  // namespace liveswap::release
