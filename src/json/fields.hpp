#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

// Access to members of an untrusted document. A member of the wrong type counts as missing, and nothing
// throws, unlike nlohmann's value(), get() and at().
namespace liveswap::json {

using Json = nlohmann::json;

// null if `object` is no object or has no such member.
const Json& member(const Json& object, const char* name);
// An empty list if missing.
const Json& list(const Json& object, const char* name);

// Empty if missing.
std::optional<std::string> text(const Json& object, const char* name);
// "" if missing.
std::string text_or_empty(const Json& object, const char* name);

// Empty unless a whole number within ±2^53, the range in which JSON readers agree.
std::optional<std::int64_t> number(const Json& object, const char* name);
// The same within `least` to `most`.
std::optional<std::int64_t> number(const Json& object, const char* name, std::int64_t least,
                                   std::int64_t most);

bool is_true(const Json& object, const char* name);

// `sum + more`, saturated.
std::int64_t add(std::int64_t sum, std::int64_t more);

}  // namespace liveswap::json
