#include "config/yaml.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <filesystem>

#include "base/file.hpp"
#include "config/limits.hpp"
#include "config/nearest.hpp"
#include "config/quote.hpp"
#include "config/reader.hpp"
#include "config/runtimes.hpp"
#include "config/settings.hpp"
#include "config/values.hpp"

namespace liveswap::config {
namespace {

Result<std::string> as_it_is(const std::string& text) { return text; }

Result<std::string> listener_name(const std::string& text) {
  if (is_listener_name(text)) return text;
  return fail(fmt::format("found {}, expected {}", in_quotes(text), listener_name_rule));
}

Listener read_listener_map(Reader& reader, const Node& map) {
  static constexpr std::array<std::string_view, 2> known{"name", "address"};
  const auto address = [&](const std::string& text) { return reader.address(text); };
  Listener listener;
  bool addressed = false;
  reader.entries(map, [&](const Node& key, const Node& node) {
    if (key.text == "name") {
      reader.value(labelled(key, "listen"), node, listener.name, listener_name);
    } else if (key.text == "address") {
      addressed = true;
      reader.value(labelled(key, "listen"), node, listener.address, address);
    } else {
      reader.complain(
          key, fmt::format("listen: unknown key {}{}", in_quotes(key.text), suggestion(key.text, known)));
    }
  });
  if (!addressed) reader.complain(map, "listen: found a map without an address, expected name and address");
  return listener;
}

void read_listen(Reader& reader, const Node& key, const Node& node, Options& options) {
  const auto parse = [&](const std::string& text) {
    return parse_listener(text).and_then([&](const Listener& listener) {
      return reader.address(listener.address).map([&](const std::string& address) {
        return Listener{listener.name, address};
      });
    });
  };
  auto& into = options.listen;
  into.clear();
  if (node.kind == Node::Kind::scalar) return reader.value(key, node, into.emplace_back(), parse);
  if (!reader.is(key, node, Node::Kind::list)) return;
  for (const Node& item : node.items) {
    if (item.kind == Node::Kind::map) into.push_back(read_listener_map(reader, item));
    else reader.value(key, item, into.emplace_back(), parse);
  }
}

// One probe or a list.
void read_health(Reader& reader, const Node& key, const Node& node, Options& options) {
  options.health.clear();
  if (node.kind == Node::Kind::scalar)
    return reader.value(key, node, options.health.emplace_back(), parse_probe_text);
  if (!reader.is(key, node, Node::Kind::list)) return;
  for (const Node& item : node.items)
    reader.value(key, item, options.health.emplace_back(), parse_probe_text);
}

void read_arguments(Reader& reader, const Node& key, const Node& node, Options& options) {
  options.arguments.clear();
  if (!reader.is(key, node, Node::Kind::list)) return;
  for (const Node& item : node.items) reader.value(key, item, options.arguments.emplace_back(), as_it_is);
}

void read_environment(Reader& reader, const Node& key, const Node& node, Options& options) {
  options.environment.clear();
  if (!reader.is(key, node, Node::Kind::map)) return;
  reader.entries(node, [&](const Node& name, const Node& text) {
    if (is_variable_name(name.text))
      return reader.value(labelled(name, "environment"), text, options.environment[name.text], as_it_is);
    reader.complain(name, fmt::format("environment: found the name {}, expected {}", in_quotes(name.text),
                                      variable_name_rule));
  });
}

void read_limits(Reader& reader, const Node& key, const Node& node, Options& options) {
  options.limits.clear();
  if (!reader.is(key, node, Node::Kind::map)) return;
  reader.entries(node, [&](const Node& name, const Node& limit) {
    if (!resource_of(name.text))
      return reader.complain(name, fmt::format("limits: unknown limit {}{}", in_quotes(name.text),
                                               suggestion(name.text, limit_names)));
    options.limits.push_back({name.text, 0});
    reader.value(labelled(name, "limits"), limit, options.limits.back().value, parse_limit);
  });
}

void read_privileged_ports(Reader& reader, const Node& key, const Node& node, Options& options) {
  options.privileged_ports.clear();
  if (node.kind == Node::Kind::scalar)
    return reader.value(key, node, options.privileged_ports.emplace_back(), parse_privileged_port);
  if (!reader.is(key, node, Node::Kind::list)) return;
  for (const Node& item : node.items)
    reader.value(key, item, options.privileged_ports.emplace_back(), parse_privileged_port);
}

using Read = void (*)(Reader&, const Node& key, const Node&, Options&);

// A key with more than a single value.
struct Key {
  std::string_view name;
  Read read;
};

constexpr std::array keys{
    Key{"listen", read_listen},       Key{"health", read_health},
    Key{"arguments", read_arguments}, Key{"environment", read_environment},
    Key{"limits", read_limits},       Key{"privileged-ports", read_privileged_ports},
    Key{"runtime", read_runtime},     Key{"runtimes", read_runtimes},
};

void read_setting(Reader& reader, const Setting& setting, const Node& key, const Node& node,
                  Options& options) {
  if (!reader.is(key, node, Node::Kind::scalar)) return;
  if (const auto set = setting.set(options, node.text, reader.directory()); !set)
    reader.complain(node, key.text + ": " + set.error().text);
}

void read_options(Reader& reader, const Node& root, Options& options) {
  if (root.kind == Node::Kind::null) return;
  if (root.kind != Node::Kind::map)
    return reader.complain(root, fmt::format("found {}, expected a map of options", word(root.kind)));
  reader.entries(root, [&](const Node& name, const Node& node) {
    const auto known =
        std::find_if(keys.begin(), keys.end(), [&](const Key& key) { return key.name == name.text; });
    if (known != keys.end()) return known->read(reader, name, node, options);
    if (const auto* setting = find_setting(name.text))
      return read_setting(reader, *setting, name, node, options);
    reader.complain(
        name, fmt::format("unknown key {}{}", in_quotes(name.text), suggestion(name.text, key_names())));
  });
}

}  // namespace

std::vector<std::string_view> key_names() {
  std::vector<std::string_view> names;
  for (const Setting& setting : settings()) names.push_back(setting.name);
  for (const Key& key : keys) names.push_back(key.name);
  return names;
}

Result<Options> load_yaml(const std::string& path, Options options) {
  const auto text = read_small_file(path, file_limit);
  if (!text) return tl::unexpected<Error>(text.error());
  const auto absolute = absolute_path(path, current_directory());
  return parse_yaml(*text, path, std::filesystem::path(absolute).parent_path().string(), std::move(options));
}

Result<Options> parse_yaml(const std::string& text, const std::string& path, const std::string& directory,
                           Options options) {
  const auto root = parse_document(text, path);
  if (!root) return tl::unexpected<Error>(root.error());
  Reader reader(path, directory);
  read_options(reader, *root, options);
  if (!reader.problems().empty()) return fail(fmt::format("{}", fmt::join(reader.problems(), "\n")));
  return options;
}

}  // namespace liveswap::config
