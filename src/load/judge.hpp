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
  std::set<std::string> versions;  // empty: any
  std::map<std::string, std::string>
      bodies;              // by version, not for slow requests; a line end after it is allowed
  bool by_status = false;  // the status alone is the version: for servers whose bodies may be anything
  bool same_body = true;   // all answers of a version, status and kind have the first one's body
};

// Whether a complete answer is the expected one, and of which version it is. The version is what the server
// states (X-Version); without it, the status and the first line of the body, or a fingerprint of a body that
// is longer than what is kept of it.
class Judge {
 public:
  explicit Judge(Expectations expectations) : expected_(std::move(expectations)) {}

  Verdict judge(const Answer& answer, Kind kind);

 private:
  // A body with a counter or a clock in it and no X-Version would make every answer a version of its own.
  static constexpr std::size_t most_versions = 1000;

  bool body_expected(const std::string& version, const Answer& answer, Kind kind);

  Expectations expected_;
  std::set<std::string> versions_;
  std::map<std::tuple<std::string, int, Kind>, Body> first_bodies_;
};

}  // namespace liveswap::load
