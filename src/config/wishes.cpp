#include "config/wishes.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string_view>

#include "config/nearest.hpp"
#include "config/quote.hpp"
#include "config/settings.hpp"
#include "config/validate.hpp"
#include "config/values.hpp"

namespace liveswap::config {
namespace {

constexpr std::array<std::string_view, 7> names{"canary", "bake", "probation", "batch",
                                                "surge",  "flip", "queue"};

Result<void> take(Wished& wished, const std::string& name, const std::string& text) {
  if (std::find(names.begin(), names.end(), name) == names.end())
    return fail(fmt::format("unknown option {}{}", in_quotes(name), suggestion(name, names)));
  const auto taken = name == "queue" ? parse_switch(text).map([&](bool queue) { wished.queue = queue; })
                                     : find_setting(name)->set(wished.options, text, "/");
  if (!taken) return fail(fmt::format("{}: {}", name, taken.error().text));
  return {};
}

Result<Wished> take_all(Options options, const Wishes& wishes) {
  Wished wished{std::move(options), false};
  for (const auto& [name, text] : wishes)
    if (auto taken = take(wished, name, text); !taken) return tl::unexpected<Error>(taken.error());
  return wished;
}

}  // namespace

Options for_forks(Options options, unsigned forks) {
  options.forks = forks;
  if (!options.max_draining.percent) options.max_draining.value = std::max(options.max_draining.value, forks);
  if (options.flip && !options.surge.percent) options.surge.value = std::max(options.surge.value, forks);
  return options;
}

Result<Wished> with_wishes(Options options, const Wishes& wishes) {
  auto wished = take_all(std::move(options), wishes);
  if (!wished) return wished;
  auto valid = validate(std::move(wished->options));
  if (!valid) return tl::unexpected<Error>(valid.error());
  wished->options = std::move(*valid);
  return wished;
}

Result<void> check_wishes(const Wishes& wishes) {
  return take_all({}, wishes).map([](const Wished&) {});
}

}  // namespace liveswap::config
