#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace liveswap::config {

// The one of `known` that was probably meant by `word`: at most a third of its letters missing, added,
// changed or swapped with their neighbour, case ignored. The first of equals. Nothing when none is so close.
std::optional<std::string_view> nearest(std::string_view word, std::span<const std::string_view> known);

// The end of a message about an unknown word: `, did you mean "forks"?` or `, expected one of a, b, c`.
std::string suggestion(std::string_view word, std::span<const std::string_view> known);

}  // namespace liveswap::config
