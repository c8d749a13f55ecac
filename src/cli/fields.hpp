#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

// Members of a document from a master or a file. Nothing about it is taken for granted: one that is missing
// or of another type is "?" or nothing.
namespace liveswap::cli {

using Json = nlohmann::json;

// null when `object` is no object or has no such member.
const Json& member(const Json& object, const char* name);
// An empty list when there is none.
const Json& list(const Json& object, const char* name);

std::optional<std::int64_t> number(const Json& object, const char* name);
bool is_true(const Json& object, const char* name);

// Fit for a terminal.
std::string text(const Json& object, const char* name);
// Of a text whose further lines say more (docs/protocol.md: what a worker wrote last): the first line as text() gives
// it, and the others, each with a newline; "" without any.
std::string headline(const Json& object, const char* name);
std::string below_headline(const Json& object, const char* name);

// Milliseconds, as "1.2 s".
std::string time(const Json& object, const char* name);

// "1 worker", "2 workers".
std::string plural(std::int64_t count, const std::string& one);

// The first digits of a release's id; all that it has when that is less.
std::string short_id(const std::string& id);

}  // namespace liveswap::cli
