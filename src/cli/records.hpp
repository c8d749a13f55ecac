#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "liveswap.hpp"

namespace liveswap::cli {

// Receipts as JSON in `text`, as from Client. Read from the master, or without a master on this machine, from
// the state directory.
struct Records {
  Outcome outcome;
  std::string left_out;  // which receipts are missing in the list and why, for people; empty: none
};
Records history_of(const Client::Where& where, unsigned newest);
Outcome receipt_of(const Client::Where& where, std::optional<std::uint64_t> number);

}  // namespace liveswap::cli
