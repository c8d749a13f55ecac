#pragma once

#include <cstddef>
#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "release/committed.hpp"

namespace liveswap::release {

// The receipts of a master: <state_dir>/history/<number>.json, one JSON document each, numbered from 1;
// <number>.refused.json of upgrades that never began. What a receipt says is the recorder's affair; only "number",
// "outcome" and "to" are looked at here. Files that are no receipts are left alone and passed over. May block on
// the disk.
class History {
 public:
  using Json = nlohmann::json;

  static constexpr std::size_t kept = 1000;
  static constexpr std::size_t refused_kept = 100;  // beside those: a script that tries for ever pushes out no upgrade

  explicit History(std::string state_dir);

  // Gives the receipt (an object) the next number and writes it, whole or not at all, for this user alone;
  // then removes all but the newest `kept`, and of the refused ones all but the newest `refused_kept`. Returns the number. Text in it that is no UTF-8 is repaired. One
  // process at a time.
  Result<std::uint64_t> add(Json receipt) const;

  // The receipt of that number; none: the newest one that can be read.
  Result<Json> receipt(std::optional<std::uint64_t> number) const;

  // The newest so many, oldest first, and beside them as many refused ones that are newer than the oldest of them.
  // Damaged ones are left out, and counted in a line of the log.
  std::vector<Json> list(std::size_t newest) const;

  // The last `k` different releases (by id) that a receipt with the outcome "ok" went to, newest first.
  std::vector<Committed> committed(std::size_t k) const;

 private:
  struct Entry {
    std::uint64_t number;
    bool refused;
  };

  static std::optional<Entry> entry_of(const std::string& name);
  static bool is_left_over(const std::string& name);
  std::string file(const Entry& entry) const;
  std::vector<Entry> entries() const;
  Result<Json> read(const Entry& entry) const;
  void prune() const;

  std::string directory_;
};

}  // namespace liveswap::release
