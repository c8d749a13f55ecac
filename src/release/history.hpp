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

// The receipts of a master: <state_dir>/history/<number>.json, one JSON document each, numbered from 1;
// <number>.refused.json of upgrades that never began. What a receipt says is the recorder's affair; only
// "number", "outcome", "kind", "from" and "to" are looked at here. Files that are no receipts are left alone
// and passed over.
//
// Nothing that stands there is trusted: at most 10,000 names are looked at and 1,100 files read in one call,
// each of at most 16 MiB, regular and no symbolic link; what is in them is parsed within bounds. That may
// still take seconds, so the master calls add() alone, which reads none of them, and leaves the rest to the
// program liveswap-store.
class History {
 public:
  using Json = nlohmann::json;
  using Clock = std::function<std::chrono::steady_clock::time_point()>;

  static constexpr std::size_t kept = 1000;
  static constexpr std::size_t refused_kept =
      100;  // beside those: a script that tries for ever pushes out no upgrade
  static constexpr std::size_t list_bytes = std::size_t{12} << 20;  // that a list takes as JSON, at most

  // How long list() reads, at most: less than the master waits for it. A thousand large receipts take longer.
  static constexpr std::chrono::seconds list_time{10};

  explicit History(std::string state_dir, Clock clock = std::chrono::steady_clock::now);

  // Gives the receipt (an object) the next number and writes it, whole or not at all, for this user alone.
  // Returns the number. Text in it that is no UTF-8 is repaired. One process at a time. Blocks on the disk
  // for one file.
  Result<std::uint64_t> add(Json receipt);

  // Removes all but the newest `kept`, of the refused ones all but the newest `refused_kept`, and what a
  // process that was killed has left behind.
  void prune() const;

  // What the file of that number holds; an error says why it is damaged. `file` is for errors. Pure.
  static Result<Json> parse(std::string_view text, std::uint64_t number, const std::string& file);

  // The receipt of that number; none: the newest one that can be read.
  Result<Json> receipt(std::optional<std::uint64_t> number) const;

  struct Listed {
    std::vector<Json> receipts;  // in short (summary_of), oldest first
    std::size_t left_out = 0;    // damaged ones, the oldest of more than `list_bytes`, those that were not
                                 // read within `list_time`
    std::string why;             // for people: how many of each; empty: none
  };
  // The newest so many, and beside them as many refused ones that are newer than the oldest of them. The
  // newest are read first, so that the oldest are missing when the time is up.
  Listed list(std::size_t newest) const;

  // The last `k` different releases (by id) that a receipt with the outcome "ok" went to, newest first; none
  // of `but`.
  std::vector<Committed> committed(std::size_t k, const std::vector<std::string>& but = {}) const;

  struct Past {
    std::vector<Committed> committed;  // as above
    std::set<std::string>
        left;  // ids of those that somebody has rolled away from and that nothing has gone to since
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
  bool is_taken(std::uint64_t number) const;
  std::vector<Entry> entries() const;
  Result<Json> read(const Entry& entry) const;
  Result<Json> newest(const std::vector<Entry>& known) const;

  std::string directory_;
  Clock clock_;
  std::uint64_t next_ = 1;  // no number below that is given
};

// The release that the upgrade of that receipt committed; nothing when its outcome is not "ok". Pure.
std::optional<Committed> went_to(const nlohmann::json& receipt);

}  // namespace liveswap::release
