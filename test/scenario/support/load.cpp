#include "support/load.hpp"

#include <doctest/doctest.h>

namespace scenario {
namespace {

std::string next_report_path(const TempDir& dir) {
  static int number = 0;
  return dir / ("load." + std::to_string(++number) + ".json");
}

}  // namespace

std::uint64_t LoadReport::attempts() const { return json_["attempts"].get<std::uint64_t>(); }

std::uint64_t LoadReport::failures() const {
  return json_["failures"].get<std::uint64_t>() + json_["unfinished"].get<std::uint64_t>();
}

std::uint64_t LoadReport::answers_of(const std::string& version) const {
  const auto& versions = json_["versions"];
  return versions.contains(version) ? versions[version]["count"].get<std::uint64_t>() : 0;
}

double LoadReport::p99_ms(const std::string& phase) const {
  for (const auto& each : json_["phases"])
    if (each["name"] == phase) return each["latency_us"]["p99"].get<double>() / 1000;
  FAIL_CHECK("the load client knows no phase ", phase);
  return 0;
}

void LoadReport::check_nothing_lost() const {
  CHECK(attempts() > 0);
  CHECK_MESSAGE(failures() == 0, failures(), " of ", attempts(),
                " attempts failed: ", json_["reasons"].dump(1));
}

Load::Load(Scenario& scenario, const std::string& address, const Words& options)
    : report_path_(next_report_path(scenario.dir)),
      client_(scenario.dir, {Words{load_program(), "--stdin", "--json", report_path_} + options +
                             Words{contains(address, "://") ? address : "http://" + address + "/"}}) {
  REQUIRE_MESSAGE(client_.says("first answer:"), client_.out(), client_.err());
}

LoadReport Load::stop() {
  client_.write("stop\n");
  const auto finished = client_.wait(2 * patience);
  status_ = finished.status;
  const auto json = Json::parse(read_file(report_path_), nullptr, false);
  REQUIRE_MESSAGE(json.is_object(), finished.out, finished.err);
  return LoadReport(json);
}

}  // namespace scenario
