#include <nlohmann/json.hpp>

#include "verify/findings.hpp"

namespace liveswap::verify {
namespace {

using OrderedJson = nlohmann::ordered_json;

OrderedJson tally_object(const load::Tally& tally, std::uint64_t failed) {
  OrderedJson classes;
  for (const load::Outcome outcome : load::all_outcomes) classes[load::name_of(outcome)] = tally.of(outcome);
  return {{"requests", tally.attempts},
          {"failed", failed},
          {"lost_with_killed_worker", tally.failures() - failed},
          {"classes", classes},
          {"p50_us", tally.latency.at(0.5)},
          {"p99_us", tally.latency.at(0.99)},
          {"max_us", tally.latency.max()}};
}

OrderedJson phases(const Findings& findings) {
  OrderedJson list = OrderedJson::array();
  const load::Tally* before = findings.measured.find("before");
  const double base = before ? static_cast<double>(before->latency.at(0.99)) : 0;
  for (const auto& phase : findings.measured.phases) {
    OrderedJson one = {{"name", phase.name}};
    one.update(tally_object(phase.tally, findings.lost_in(phase.name)));
    one["p99_to_before"] =
        base > 0 ? OrderedJson(static_cast<double>(phase.tally.latency.at(0.99)) / base) : OrderedJson();
    list.push_back(std::move(one));
  }
  return list;
}

OrderedJson upgrades(const Findings& findings) {
  OrderedJson list = OrderedJson::array();
  for (const Upgrade& one : findings.upgrades)
    list.push_back({{"to", one.to},
                    {"ok", one.outcome.status == ok},
                    {"text", one.outcome.text},
                    {"length_ms", one.length.count()},
                    {"oddities", one.anomalies}});
  return list;
}

OrderedJson faults(const Findings& findings) {
  OrderedJson list = OrderedJson::array();
  for (const FaultFinding& one : findings.faults)
    list.push_back({{"fault", word(one.fault)},
                    {"ok", one.as_expected},
                    {"expected", one.expected},
                    {"found", one.found},
                    {"length_ms", one.length.count()}});
  return list;
}

}  // namespace

std::string as_json(const Findings& findings, const Task& task) {
  const auto problems = findings.problems();
  const OrderedJson all = {{"version", 1},
                           {"passed", problems.empty()},
                           {"problems", problems},
                           {"warnings", findings.warnings()},
                           {"library", task.library},
                           {"second", task.second},
                           {"length_ms", findings.length.count()},
                           {"total", tally_object(findings.measured.total, findings.lost())},
                           {"phases", phases(findings)},
                           {"upgrades", upgrades(findings)},
                           {"faults", faults(findings)},
                           {"workers_died", findings.deaths()}};
  return all.dump(1, ' ', false, OrderedJson::error_handler_t::replace) + "\n";
}

}  // namespace liveswap::verify
