#include <nlohmann/json.hpp>

#include "load/program/report.hpp"

namespace liveswap::load {
namespace {

using Json = nlohmann::ordered_json;

double ms(Time time) { return static_cast<double>(time.count() / 1000) / 1e3; }

Json latency(const Histogram& histogram) {
  return {{"count", histogram.count()}, {"p50", histogram.at(0.5)},     {"p90", histogram.at(0.9)},
          {"p99", histogram.at(0.99)},  {"p99.9", histogram.at(0.999)}, {"max", histogram.max()}};
}

Json classes(const Tally& tally) {
  Json counts;
  for (const Outcome outcome : all_outcomes) counts[name_of(outcome)] = tally.of(outcome);
  return counts;
}

Json tally_object(const Tally& tally) {
  return {{"attempts", tally.attempts},
          {"failures", tally.failures()},
          {"unfinished", tally.attempts - tally.ended()},
          {"classes", classes(tally)},
          {"latency_us", latency(tally.latency)},
          {"slow", {{"attempts", tally.slow_attempts}, {"latency_us", latency(tally.slow_latency)}}}};
}

Json phases(const Report& report) {
  Json list = Json::array();
  const auto& all = report.accounting.phases;
  for (std::size_t i = 0; i < all.size(); ++i) {
    Json phase = {{"name", all[i].name},
                  {"start_ms", ms(all[i].start)},
                  {"end_ms", ms(i + 1 < all.size() ? all[i + 1].start : report.elapsed)}};
    phase.update(tally_object(all[i].tally));
    phase["versions"] = all[i].tally.versions;
    list.push_back(std::move(phase));
  }
  return list;
}

Json seen_object(const Seen& seen) {
  return {{"count", seen.count}, {"first_ms", ms(seen.first)}, {"last_ms", ms(seen.last)}};
}

Json reasons(const Accounting& accounting) {
  Json list = Json::array();
  for (const auto& [key, seen] : accounting.reasons) {
    Json entry = {{"class", name_of(key.first)}, {"reason", key.second}};
    entry.update(seen_object(seen));
    list.push_back(std::move(entry));
  }
  return list;
}

Json connections(const ConnectionCounts& counts) {
  return {{"opened", counts.opened},
          {"reused", counts.reused},
          {"closed_as_told", counts.closed_as_told},
          {"idle_closed", counts.idle_closed},
          {"idle_reset", counts.idle_reset},
          {"idle_garbage", counts.idle_garbage},
          {"most_open", counts.most_open}};
}

Json timeline(const Report& report) {
  Json list = Json::array();
  for (const auto& bucket : report.timeline)
    list.push_back({{"at_ms", ms(bucket.index * report.accounting.timeline.width())},
                    {"ok", bucket.ok},
                    {"failures", bucket.failures},
                    {"versions", bucket.versions},
                    {"p99_us", bucket.p99_us},
                    {"max_us", bucket.max_us}});
  return list;
}

}  // namespace

std::string as_json(const Report& report) {
  const Accounting& books = report.accounting;
  Json all = {{"target", report.options.target.shown},
              {"keep_alive", report.options.keep_alive},
              {"rate", report.options.rate},
              {"duration_ms", ms(report.elapsed)}};
  all.update(tally_object(books.total));
  all["phases"] = phases(report);
  all["versions"] = Json::object();
  for (const auto& [version, seen] : books.versions) all["versions"][version] = seen_object(seen);
  all["reasons"] = reasons(books);
  all["connections"] = connections(report.connections);
  all["client"] = {{"late_us", latency(books.lateness)}, {"cpu_ms", ms(report.cpu)}};
  all["timeline"] = timeline(report);
  return all.dump(1, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace liveswap::load
