#include "results.hpp"

#include <algorithm>

namespace page {
namespace {

bool matches(const Json& record, const Json& where) {
  return std::all_of(where.items().begin(), where.items().end(), [&](const auto& wanted) {
    return record.contains(wanted.key()) && record[wanted.key()] == wanted.value();
  });
}

std::optional<double> number_at(const Json& record, const std::string& place) {
  const Json::json_pointer pointer(place);
  if (!record.contains(pointer) || !record[pointer].is_number()) return std::nullopt;
  return record[pointer].get<double>();
}

int rank(const Json& program) {
  const std::string name = program["name"];
  return name.starts_with("liveswap") ? 0 : name.starts_with("bare") ? 1 : 2;
}

}  // namespace

std::optional<double> median(std::vector<double> values) {
  if (values.empty()) return std::nullopt;
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

std::vector<Json> Results::measured() const {
  std::vector<Json> found;
  for (const Json& program : json_["peers"])
    if (program["reason"] == "") found.push_back(program);
  std::stable_sort(found.begin(), found.end(),
                   [](const Json& a, const Json& b) { return rank(a) < rank(b); });
  return found;
}

std::vector<Json> Results::left_out() const {
  std::vector<Json> found;
  for (const Json& program : json_["peers"])
    if (program["reason"] != "") found.push_back(program);
  return found;
}

std::vector<Json> Results::records(const std::string& what, const std::string& peer,
                                   const Json& where) const {
  std::vector<Json> found;
  for (const Json& record : json_["records"])
    if (record["what"] == what && record["peer"] == peer && matches(record, where)) found.push_back(record);
  return found;
}

std::vector<double> Results::numbers(const std::string& what, const std::string& peer,
                                     const std::string& place, const Json& where) const {
  std::vector<double> found;
  for (const Json& record : records(what, peer, where))
    if (const auto number = number_at(record, place)) found.push_back(*number);
  return found;
}

std::vector<double> Results::ratios_to_bare(const Json& program, const std::string& what,
                                            const std::string& place, const Json& where) const {
  const std::string bare = program["mode"] == "shared" ? "bare-restart" : "bare-reuseport";
  std::vector<double> found;
  for (const Json& record : records(what, program["name"], where)) {
    Json same_round = where;
    same_round["round"] = record["round"];
    const auto mine = number_at(record, place);
    const auto others = numbers(what, bare, place, same_round);
    if (mine && !others.empty()) found.push_back(*mine / others.front());
  }
  return found;
}

}  // namespace page
