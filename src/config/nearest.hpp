#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace liveswap::config {

// The closest of `known`, for "did you mean": at most a third of its letters missing, added, changed or
// swapped with a neighbour; ignores case. The first of equals; empty if none is close enough.
std::optional<std::string_view> nearest(std::string_view word, std::span<const std::string_view> known);

// End of a message about an unknown word: `, did you mean "forks"?` or `, expected one of a, b, c`.
std::string suggestion(std::string_view word, std::span<const std::string_view> known);

}  // namespace liveswap::config
