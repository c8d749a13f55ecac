#pragma once

#include <cstddef>
#include <nlohmann/json.hpp>
#include <string_view>

#include "base/error.hpp"

// JSON that a client, a file or another process has written. nlohmann's parser accepts any depth, but its
// values are copied, written and compared by functions that call themselves for each level: 100,000 levels,
// which fit into 200 KB, overflow the stack. So both bounds are checked before the text is parsed.
namespace liveswap::json {

using Json = nlohmann::json;

struct Bounds {
  std::size_t levels = 64;  // arrays and objects within one another; what liveswap writes has 7 at most
  std::size_t values = 1'000'000;  // a value takes up to 100 bytes of memory, whatever its text takes
};

// The value that the whole of `text` is. An error says what the text is and what was expected: "nested 90
// levels deep, expected at most 64". No text makes it throw.
Result<Json> parse(std::string_view text, const Bounds& bounds);
Result<Json> parse(std::string_view text);

// null for a text that parse() refuses: for readers that pass over what they do not understand.
Json parse_or_null(std::string_view text);

}  // namespace liveswap::json
