#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

// Members of a document whose writer is not trusted: a member that is missing or of another type than
// expected is treated alike, and nothing throws. nlohmann's own value(), get() and at() throw for another
// type.
namespace liveswap::json {

using Json = nlohmann::json;

// null when `object` is no object or has no such member.
const Json& member(const Json& object, const char* name);
// An empty list when there is none.
const Json& list(const Json& object, const char* name);

// Nothing for what is no text.
std::optional<std::string> text(const Json& object, const char* name);
// "" for what is no text.
std::string text_or_empty(const Json& object, const char* name);

// Nothing for what is no whole number within ±2^53, the range in which JSON's readers agree.
std::optional<std::int64_t> number(const Json& object, const char* name);
// Further bounded: nothing for a number outside of `least` to `most`.
std::optional<std::int64_t> number(const Json& object, const char* name, std::int64_t least,
                                   std::int64_t most);

bool is_true(const Json& object, const char* name);

// `sum + more`, or the nearest number that there is.
std::int64_t add(std::int64_t sum, std::int64_t more);

}  // namespace liveswap::json
