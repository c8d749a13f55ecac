// The results of test/bench/peers: performance.json.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

namespace page {

using Json = nlohmann::ordered_json;

// The middle one of the values (of two, the upper); nothing of none.
std::optional<double> median(std::vector<double> values);

class Results {
 public:
  explicit Results(Json json) : json_(std::move(json)) {}

  const Json& json() const { return json_; }

  // The programs that were measured, liveswap's ways first, then the bare ones, then the others by title.
  std::vector<Json> measured() const;
  std::vector<Json> left_out() const;

  // The records of a kind of one program that have all members of `where` with these values, round by round.
  std::vector<Json> records(const std::string& what, const std::string& peer,
                            const Json& where = Json::object()) const;

  // The numbers at that place (a JSON pointer) of these records; records without one are skipped.
  std::vector<double> numbers(const std::string& what, const std::string& peer, const std::string& place,
                              const Json& where = Json::object()) const;

  // As numbers(), each divided by that of the bare server in the same mode in the same round.
  std::vector<double> ratios_to_bare(const Json& program, const std::string& what, const std::string& place,
                                     const Json& where) const;

 private:
  Json json_;
};

}  // namespace page
