#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"

namespace liveswap::config {

// A health probe.
struct HealthProbe {
  enum class Kind {
    connect,  // a connection can be established
    get,      // an HTTP request has an expected status
    run,      // a command exits with 0
  };
  Kind kind = Kind::connect;
  std::string listener;  // of connect and get; empty: the first one
  std::string path;      // of get
  unsigned lowest_status = 200;
  unsigned highest_status = 299;
  std::vector<std::string> command;  // of run; the first word is an absolute path

  bool operator==(const HealthProbe&) const = default;
};

// Parses "[NAME=]connect", "[NAME=]GET /path [STATUS]" or "run /path/to/command [word …]". STATUS: a number,
// or "2xx" (the default). Words are separated by spaces; no quotes, no shell. The error reads `found …,
// expected …`.
Result<HealthProbe> parse_health(std::string_view text);

// A liveness check: a probe, or the application's heartbeat (liveswap_heartbeat).
struct LivenessCheck {
  bool heartbeat = false;
  HealthProbe probe;  // without heartbeat

  bool operator==(const LivenessCheck&) const = default;
};

// Parses "heartbeat", or a probe as parse_health() does.
Result<LivenessCheck> parse_liveness(std::string_view text);

// Checks that the listener of the probe exists.
Result<void> match_health(const HealthProbe& probe, const std::vector<std::string>& listeners);

// The probe as text, for logs and errors.
std::string health_text(const HealthProbe& probe);

}  // namespace liveswap::config
