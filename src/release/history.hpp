#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"
#include "release/committed.hpp"

namespace liveswap::release {

// The receipts of a master: <state_dir>/history/<number>.json, numbered from 1; <number>.refused.json for
// upgrades that were refused before they began. Of the content (recorder.hpp), this class uses only "number",
// "outcome", "kind", "from" and "to". Other files are ignored.
//
// Files are untrusted: each call looks at 10,000 names at most and reads 1,100 files at most, regular ones of
// at most 16 MiB, and parses them within bounds. That may take seconds, so the master calls only reserve(),
// adopt(), has() and add(), which read no receipt; the program liveswap-store does the rest.
class History {
 public:
  using Json = nlohmann::json;
  using Clock = std::function<std::chrono::steady_clock::time_point()>;

  static constexpr std::size_t kept = 1000;
  // A separate limit: the refused upgrades of a script that retries for ever must not displace other
  // receipts.
  static constexpr std::size_t refused_kept = 100;
  static constexpr std::size_t list_bytes = std::size_t{12} << 20;  // limit of a list as JSON

  // Time limit of list(), below the master's limit for liveswap-store. A thousand large receipts take longer.
  static constexpr std::chrono::seconds list_time{10};

  explicit History(std::string state_dir, Clock clock = std::chrono::steady_clock::now);

  // The next free number, for a receipt that is written later. Creates the directory. Blocks on the disk.
  Result<std::uint64_t> reserve();
  // A former master has reserved this number: reserve() returns only higher ones.
  void adopt(std::uint64_t reserved);
  // Whether a file has that number.
  bool has(std::uint64_t number) const;

  // Writes the receipt (an object) atomically, mode 0600, and returns its number: `reserved`, or the next
  // free one if that is 0 or another program has used it. Invalid UTF-8 is replaced. Only one process may
  // call this at a time. Blocks on the disk.
  Result<std::uint64_t> add(Json receipt, std::uint64_t reserved = 0);

  // Removes old receipts beyond `kept` and `refused_kept`, and temporary files of killed processes.
  void prune() const;

  // Parses the receipt with that number. `file`: for errors. Pure.
  static Result<Json> parse(std::string_view text, std::uint64_t number, const std::string& file);

  // The receipt with that number; without a number, the newest readable one.
  Result<Json> receipt(std::optional<std::uint64_t> number) const;

  struct Listed {
    std::vector<Json> receipts;  // short (summary_of), oldest first
    std::size_t left_out = 0;    // damaged, beyond `list_bytes`, or not read within `list_time`
    std::string why;             // the number of each kind, for people; empty: none
  };
  // The newest receipts, and up to as many refused ones that are newer than the oldest of these. Reads the
  // newest first; at the time limit, the oldest are missing.
  Listed list(std::size_t newest) const;

  // The last `k` different releases (by id) in receipts with outcome "ok", newest first. Leaves out the ids
  // in `but`.
  std::vector<Committed> committed(std::size_t k, const std::vector<std::string>& but = {}) const;

  struct Past {
    std::vector<Committed> committed;  // as committed()
    std::set<std::string> left;        // ids of releases that a rollback left and no later upgrade restored
  };
  Past past(std::size_t k, const std::vector<std::string>& but = {}) const;

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
  Result<Json> newest(const std::vector<Entry>& known) const;

  std::string directory_;
  Clock clock_;
  std::uint64_t next_ = 1;  // lower bound of free numbers
};

// The release committed by the upgrade of that receipt; empty unless the outcome is "ok". Pure.
std::optional<Committed> went_to(const nlohmann::json& receipt);

}  // namespace liveswap::release
