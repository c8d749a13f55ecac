#pragma once

#include <map>
#include <set>
#include <string>
#include <tuple>

#include "load/answer.hpp"
#include "load/outcome.hpp"

namespace liveswap::load {

struct Expectations {
  std::set<int> statuses = {200, 404};
  std::set<std::string> versions;             // empty: any
  std::map<std::string, std::string> bodies;  // by version; not for slow requests; may lack the final newline
  bool by_status = false;                     // version = status only, for servers with variable bodies
  bool same_body = true;  // all answers with the same version, status and kind have the same body
};

// Decides whether a complete answer is as expected, and which version it has: that in X-Version, otherwise
// the status and the first line of the body, or a hash of a body longer than what is kept.
class Judge {
 public:
  explicit Judge(Expectations expectations) : expected_(std::move(expectations)) {}

  Verdict judge(const Answer& answer, Kind kind);

 private:
  // Limit for servers without X-Version and with a counter or clock in their body.
  static constexpr std::size_t most_versions = 1000;

  bool body_expected(const std::string& version, const Answer& answer, Kind kind);

  Expectations expected_;
  std::set<std::string> versions_;
  std::map<std::tuple<std::string, int, Kind>, Body> first_bodies_;
};

}  // namespace liveswap::load
