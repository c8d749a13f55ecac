#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"

namespace liveswap::config {

// One way to find out whether the application is well.
struct HealthProbe {
  enum class Kind {
    connect,  // a connection comes about
    get,      // an HTTP request is answered with an expected status
    run,      // a command exits with 0
  };
  Kind kind = Kind::connect;
  std::string listener;  // of connect and get; empty: the first one
  std::string path;      // of get
  unsigned lowest_status = 200;
  unsigned highest_status = 299;
  std::vector<std::string> command;  // of run; the first word is an absolute path
};

// "[NAME=]connect", "[NAME=]GET /path [STATUS]" or "run /path/to/command [word …]". STATUS is a number or
// "2xx", which is also the default. There are no quotes and no shell: words are parted by spaces. An error
// reads `found …, expected …`.
Result<HealthProbe> parse_health(std::string_view text);

// Whether the listener that a probe is for is among these names.
Result<void> match_health(const HealthProbe& probe, const std::vector<std::string>& listeners);

// The probe as it is written, for logs and errors.
std::string health_text(const HealthProbe& probe);

}  // namespace liveswap::config
