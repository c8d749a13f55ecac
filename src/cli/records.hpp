#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "liveswap.hpp"

namespace liveswap::cli {

// The receipts of an instance as JSON in `text`, as Client gives them: from its master, or from its state
// directory when there is no master on this machine.
struct Records {
  Outcome outcome;
  std::string left_out;  // which receipts are missing in it, and why; for people; empty: none
};
Records history_of(const Client::Where& where, unsigned newest);
Outcome receipt_of(const Client::Where& where, std::optional<std::uint64_t> number);

}  // namespace liveswap::cli
