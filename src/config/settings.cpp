#include "config/settings.hpp"

#include <algorithm>
#include <array>

#include "base/file.hpp"
#include "config/runtimes.hpp"
#include "config/values.hpp"

namespace liveswap::config {
namespace {

using Text = const std::string&;

template <auto member, auto parse>
Result<void> one(Options& options, Text text, Text) {
  return parse(text).map([&](auto value) { options.*member = std::move(value); });
}

template <auto member>
Result<void> path(Options& options, Text text, Text directory) {
  if (text.empty()) return fail("found \"\", expected a path");
  options.*member = absolute_path(text, directory);
  return {};
}

template <auto member>
Result<void> name(Options& options, Text text, Text) {
  if (text.empty()) return fail("found \"\", expected a name");
  options.*member = text;
  return {};
}

constexpr std::array table{
    Setting{"target", path<&Options::target>},
    Setting{"port", one<&Options::port, parse_port>},
    Setting{"address", one<&Options::address, parse_control_address>},
    Setting{"forks", one<&Options::forks, parse_forks>},
    Setting{"head", path<&Options::head>},
    Setting{"pre-upgrade", path<&Options::pre_upgrade>},
    Setting{"zero-downtime", one<&Options::zero_downtime, parse_switch>},
    Setting{"force-target", one<&Options::force_target, parse_switch>},
    Setting{"listen-mode", one<&Options::listen_mode, parse_listen_mode>},
    Setting{"backlog", one<&Options::backlog, parse_backlog>},
    Setting{"kind", one<&Options::kind, parse_kind>},
    Setting{"start-file", one<&Options::start_file, parse_start_file>},
    Setting{"entry", one<&Options::entry, parse_entry>},
    Setting{"intercept", one<&Options::intercept, parse_intercept>},
    Setting{"keepalive", one<&Options::keepalive, parse_keepalive>},
    Setting{"keepalive-grace", one<&Options::keepalive_grace, parse_duration>},
    Setting{"await-listener", one<&Options::await_listener, parse_switch>},
    Setting{"batch", one<&Options::batch, parse_batch>},
    Setting{"surge", one<&Options::surge, parse_amount>},
    Setting{"max-draining", one<&Options::max_draining, parse_amount>},
    Setting{"flip", one<&Options::flip, parse_switch>},
    Setting{"canary", one<&Options::canary, parse_amount>},
    Setting{"bake", one<&Options::bake, parse_duration>},
    Setting{"probation", one<&Options::probation, parse_duration_or_none>},
    Setting{"max-memory", one<&Options::max_memory, parse_memory>},
    Setting{"health-interval", one<&Options::health_interval, parse_duration>},
    Setting{"health-limit", one<&Options::health_limit, parse_duration>},
    Setting{"liveness", one<&Options::liveness, parse_liveness_text>},
    Setting{"liveness-interval", one<&Options::liveness_interval, parse_duration>},
    Setting{"liveness-limit", one<&Options::liveness_limit, parse_duration>},
    Setting{"liveness-failures", one<&Options::liveness_failures, parse_liveness_failures>},
    Setting{"keep-releases", one<&Options::keep_releases, parse_keep_releases>},
    Setting{"settle", one<&Options::settle, parse_duration>},
    Setting{"ready-limit", one<&Options::ready_limit, parse_duration>},
    Setting{"listener-wait", one<&Options::listener_wait, parse_duration>},
    Setting{"drain-limit", one<&Options::drain_limit, parse_optional_duration>},
    Setting{"term-grace", one<&Options::term_grace, parse_duration>},
    Setting{"orphan-wait", one<&Options::orphan_wait, parse_orphan_wait>},
    Setting{"pre-upgrade-limit", one<&Options::pre_upgrade_limit, parse_duration>},
    Setting{"check-limit", one<&Options::check_limit, parse_duration>},
    Setting{"backoff-min", one<&Options::backoff_min, parse_duration>},
    Setting{"backoff-max", one<&Options::backoff_max, parse_duration>},
    Setting{"backoff-reset", one<&Options::backoff_reset, parse_duration>},
    Setting{"working-directory", path<&Options::working_directory>},
    Setting{"user", name<&Options::user>},
    Setting{"group", name<&Options::group>},
    Setting{"auth", one<&Options::auth, parse_switch>},
    Setting{"state-dir", path<&Options::state_dir>},
    Setting{"runtime-dir", path<&Options::runtime_dir>},
    Setting{"worker-host", path<&Options::worker_host>},
    Setting{"log-file", path<&Options::log_file>},
};

}  // namespace

std::span<const Setting> settings() { return table; }

const Setting* find_setting(std::string_view name) {
  const auto found =
      std::find_if(table.begin(), table.end(), [&](const Setting& one) { return one.name == name; });
  return found == table.end() ? nullptr : &*found;
}

}  // namespace liveswap::config
