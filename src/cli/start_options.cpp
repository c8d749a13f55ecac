#include "cli/start_options.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <sstream>
#include <string_view>

#include "base/file.hpp"
#include "config/address.hpp"
#include "config/file_check.hpp"
#include "config/runtimes.hpp"
#include "config/settings.hpp"
#include "config/validate.hpp"
#include "config/values.hpp"
#include "config/yaml.hpp"

namespace liveswap::cli {
namespace {

template <auto member, bool value>
Result<void> turn(Options& options, std::string_view) {
  options.*member = value;
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

Result<void> add_probe(Options& options, std::string_view text) {
  return config::parse_probe_text(text).map([&](auto probe) { options.health.push_back(std::move(probe)); });
}

Result<void> add_privileged_port(Options& options, std::string_view text) {
  return config::parse_privileged_port(text).map(
      [&](std::uint16_t port) { options.privileged_ports.push_back(port); });
}

// A check of the file stays: the command line cannot name one.
Result<void> set_runtime(Options& options, std::string_view text) {
  return config::parse_runtime(text).map([&](const Runtime& runtime) { options.runtime.run = runtime.run; });
}

// Options that are no single value, or that have another name in the configuration file.
struct Setter {
  std::string_view name;
  Result<void> (*apply)(Options&, std::string_view text);
};

constexpr std::array setters{
    Setter{"listen", add_listener},
    Setter{"health", add_probe},
    Setter{"privileged-port", add_privileged_port},
    Setter{"env", set_variable},
    Setter{"limit", set_limit},
    Setter{"runtime", set_runtime},
    Setter{"flip", turn<&Options::flip, true>},
    Setter{"force-target", turn<&Options::force_target, true>},
    Setter{"no-zero-downtime", turn<&Options::zero_downtime, false>},
    Setter{"no-await-listener", turn<&Options::await_listener, false>},
    Setter{"no-auth", turn<&Options::auth, false>},
};

Result<void> apply(Options& options, const std::string& name, const std::string& text) {
  const auto setter =
      std::find_if(setters.begin(), setters.end(), [&](const Setter& s) { return s.name == name; });
  const auto* setting = config::find_setting(name);
  if (setter == setters.end() && !setting) return fail(fmt::format("--{} means nothing to start", name));
  const auto applied = setter != setters.end() ? setter->apply(options, text)
                                               : setting->set(options, text, current_directory());
  if (!applied) return fail(fmt::format("--{}: {}", name, applied.error().text));
  return {};
}

// Sets what the command line says.
Result<void> take_command_line(Options& options, const Arguments& arguments) {
  const auto& settings = arguments.settings;
  const auto has = [&](std::string_view name) {
    return std::any_of(settings.begin(), settings.end(), [&](const auto& s) { return s.first == name; });
  };
  if (has("listen")) options.listen.clear();
  if (has("health")) options.health.clear();
  if (has("privileged-port")) options.privileged_ports.clear();
  for (const auto& [name, text] : settings)
    if (auto applied = apply(options, name, text); !applied) return applied;
  if (!arguments.value.empty()) options.target = absolute_path(arguments.value, current_directory());
  if (arguments.application) options.arguments = *arguments.application;
  return {};
}

// Options::read_config for a file at `path`.
std::string read_again(const std::string& path, const Arguments& arguments, const std::string& text,
                       Options& options) {
  const auto directory = std::filesystem::path(path).parent_path().string();
  auto parsed = config::parse_yaml(text, path, directory, {});
  if (!parsed) return parsed.error().text;
  if (auto taken = take_command_line(*parsed, arguments); !taken) return taken.error().text;
  auto valid = config::validate(std::move(*parsed));
  if (valid) {
    options = std::move(*valid);
    return "";
  }
  std::string problems;
  std::istringstream lines(valid.error().text);
  for (std::string line; std::getline(lines, line);)
    problems += (problems.empty() ? "" : "\n") + config::problem_text(config::located(line, text), path);
  return problems;
}

}  // namespace

std::function<std::string(const std::string&, Options&)> reader_of(const Arguments& arguments,
                                                                   const std::string& path) {
  return [path, arguments](const std::string& text, Options& into) {
    return read_again(path, arguments, text, into);
  };
}

Result<Options> start_options(const Arguments& arguments) {
  Options options;
  if (!arguments.config.empty()) {
    auto loaded = config::load_yaml(arguments.config, options);
    if (!loaded) return loaded;
    options = std::move(*loaded);
    options.config_file = absolute_path(arguments.config, current_directory());
    options.read_config = reader_of(arguments, options.config_file);
  }
  if (auto taken = take_command_line(options, arguments); !taken) return tl::unexpected<Error>(taken.error());
  return config::validate(std::move(options));
}

}  // namespace liveswap::cli
