#pragma once

#include <cstdint>
#include <string>

#include "support/instance.hpp"

namespace scenario {

// The load client's final report.
class LoadReport {
 public:
  explicit LoadReport(Json json) : json_(std::move(json)) {}

  const Json& json() const { return json_; }
  std::uint64_t attempts() const;
  std::uint64_t failures() const;
  std::uint64_t answers_of(const std::string& version) const;
  // The 99th percentile of a phase, in milliseconds.
  double p99_ms(const std::string& phase) const;

  // Fails the test if any attempt was lost, or if there was no attempt.
  void check_nothing_lost() const;

 private:
  Json json_;
};

// A running load client, in phases; the first phase is "run".
class Load {
 public:
  // `address`: "127.0.0.1:80", or "tcp://127.0.0.1:80" for an echo server. Returns after the first answer.
  Load(Scenario& scenario, const std::string& address, const Words& options = {"--rate", "300"});

  void mark(const std::string& phase) { client_.write("mark " + phase + "\n"); }
  LoadReport stop();
  // The exit status; known after stop().
  int status() const { return status_; }

 private:
  std::string report_path_;
  Process client_;
  int status_ = -1;
};

}  // namespace scenario
