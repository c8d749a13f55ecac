#include "cli/start_options.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string_view>

#include "base/file.hpp"
#include "config/address.hpp"
#include "config/validate.hpp"
#include "config/values.hpp"
#include "config/yaml.hpp"

namespace liveswap::cli {
namespace {

Result<std::string> parse_path(std::string_view text) {
  if (text.empty()) return fail("found nothing, expected a path");
  return absolute_path(std::string(text), current_directory());
}

Result<std::string> parse_text(std::string_view text) {
  if (text.empty()) return fail("found nothing, expected a name");
  return std::string(text);
}

using Apply = Result<void> (*)(Options&, std::string_view text);

template <auto member, auto parse>
Result<void> one(Options& options, std::string_view text) {
  return parse(text).map([&](auto value) { options.*member = std::move(value); });
}

template <auto member>
Result<void> off(Options& options, std::string_view) {
  options.*member = false;
  return {};
}

Result<void> add_listener(Options& options, std::string_view text) {
  auto listener = config::parse_listener(text);
  if (!listener) return tl::unexpected<Error>(listener.error());
  const auto address = config::parse_address(listener->address);
  if (address && address->kind == config::Address::Kind::unix_path)
    listener->address = "unix:" + absolute_path(address->path, current_directory());
  options.listen.push_back(std::move(*listener));
  return {};
}

Result<void> set_variable(Options& options, std::string_view text) {
  return config::parse_variable(text).map(
      [&](auto variable) { options.environment[variable.first] = variable.second; });
}

Result<void> set_limit(Options& options, std::string_view text) {
  return config::parse_resource_limit(text).map([&](const ResourceLimit& limit) {
    auto& limits = options.limits;
    std::erase_if(limits, [&](const ResourceLimit& other) { return other.name == limit.name; });
    limits.push_back(limit);
  });
}

struct Setter {
  std::string_view name;
  Apply apply;
};

constexpr std::array setters{
    Setter{"port", one<&Options::port, config::parse_port>},
    Setter{"address", one<&Options::address, config::parse_control_address>},
    Setter{"forks", one<&Options::forks, config::parse_forks>},
    Setter{"head", one<&Options::head, parse_path>},
    Setter{"pre-upgrade", one<&Options::pre_upgrade, parse_path>},
    Setter{"no-zero-downtime", off<&Options::zero_downtime>},
    Setter{"listen", add_listener},
    Setter{"listen-mode", one<&Options::listen_mode, config::parse_listen_mode>},
    Setter{"backlog", one<&Options::backlog, config::parse_backlog>},
    Setter{"batch", one<&Options::batch, config::parse_batch>},
    Setter{"surge", one<&Options::surge, config::parse_amount>},
    Setter{"settle", one<&Options::settle, config::parse_duration>},
    Setter{"ready-limit", one<&Options::ready_limit, config::parse_duration>},
    Setter{"drain-limit", one<&Options::drain_limit, config::parse_optional_duration>},
    Setter{"term-grace", one<&Options::term_grace, config::parse_duration>},
    Setter{"hook-limit", one<&Options::hook_limit, config::parse_duration>},
    Setter{"backoff-min", one<&Options::backoff_min, config::parse_duration>},
    Setter{"backoff-max", one<&Options::backoff_max, config::parse_duration>},
    Setter{"backoff-reset", one<&Options::backoff_reset, config::parse_duration>},
    Setter{"env", set_variable},
    Setter{"working-directory", one<&Options::working_directory, parse_path>},
    Setter{"user", one<&Options::user, parse_text>},
    Setter{"group", one<&Options::group, parse_text>},
    Setter{"limit", set_limit},
    Setter{"no-auth", off<&Options::auth>},
    Setter{"state-dir", one<&Options::state_dir, parse_path>},
    Setter{"runtime-dir", one<&Options::runtime_dir, parse_path>},
    Setter{"worker-host", one<&Options::worker_host, parse_path>},
    Setter{"log-file", one<&Options::log_file, parse_path>},
};

Result<void> apply(Options& options, const std::string& name, const std::string& text) {
  const auto setter =
      std::find_if(setters.begin(), setters.end(), [&](const Setter& s) { return s.name == name; });
  if (setter == setters.end()) return fail(fmt::format("--{} means nothing to start", name));
  if (auto applied = setter->apply(options, text); !applied)
    return fail(fmt::format("--{}: {}", name, applied.error().text));
  return {};
}

}  // namespace

Result<Options> start_options(const Arguments& arguments) {
  Options options;
  if (!arguments.config.empty()) {
    auto loaded = config::load_yaml(arguments.config, options);
    if (!loaded) return loaded;
    options = std::move(*loaded);
  }
  const auto& settings = arguments.settings;
  if (std::any_of(settings.begin(), settings.end(), [](const auto& s) { return s.first == "listen"; }))
    options.listen.clear();
  for (const auto& [name, text] : settings)
    if (auto applied = apply(options, name, text); !applied) return tl::unexpected<Error>(applied.error());
  if (!arguments.value.empty()) options.target = *parse_path(arguments.value);
  if (arguments.application) options.arguments = *arguments.application;
  return config::validate(std::move(options));
}

}  // namespace liveswap::cli
