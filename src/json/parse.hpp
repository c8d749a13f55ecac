#pragma once

#include <cstddef>
#include <nlohmann/json.hpp>
#include <string_view>

#include "base/error.hpp"

// Parses JSON from clients, files and other processes. nlohmann copies, writes and compares values
// recursively, so a document of 100,000 levels (200 KB) would overflow the stack. Both bounds are therefore
// checked before parsing.
namespace liveswap::json {

using Json = nlohmann::json;

struct Bounds {
  std::size_t levels = 64;         // nested arrays and objects; documents of liveswap have at most 7
  std::size_t values = 1'000'000;  // each takes up to 100 bytes of memory
};

// Parses the whole of `text`. An error says what was found and expected: "nested 90 levels deep, expected at
// most 64". Never throws.
Result<Json> parse(std::string_view text, const Bounds& bounds);
Result<Json> parse(std::string_view text);

// null if parse() would fail.
Json parse_or_null(std::string_view text);

}  // namespace liveswap::json
