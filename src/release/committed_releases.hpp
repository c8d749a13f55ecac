#pragma once

#include <set>
#include <string>
#include <vector>

#include "release/committed.hpp"

namespace liveswap::release {

// The releases that a master has committed since its start. The receipt of an upgrade is written when the
// upgrade is answered, which may be an hour after its commit, so the history alone does not know them.
class CommittedReleases {
 public:
  // `left`: if a rollback committed `release`, the id of the release that was committed before; else empty.
  void add(const Committed& release, const std::string& left);
  // The last `k` different ones, newest first.
  std::vector<Committed> newest(std::size_t k) const;
  // Whether a rollback replaced the release with this id, and no later upgrade committed it again.
  bool is_left(const std::string& id) const { return left_.contains(id); }

  // All members as values (master/state/archive.hpp).
  template <class Archive>
  void describe(Archive& a) {
    a("committed", committed_)("left", left_);
  }

 private:
  std::vector<Committed> committed_;  // newest first, each once
  std::set<std::string> left_;        // ids, of these
};

}  // namespace liveswap::release
