#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>

#include "json/fields.hpp"

// Members of a document from a master or a file, as they are shown: one that is missing or of another type is
// "?" or nothing.
namespace liveswap::cli {

using Json = nlohmann::json;

using json::is_true;
using json::list;
using json::member;
using json::number;

// Fit for a terminal.
std::string text(const Json& object, const char* name);
// Of a text whose further lines say more (docs/reference/control-protocol.md: what a worker wrote last): the
// first line as text() gives it, and the others, each with a newline; "" without any.
std::string headline(const Json& object, const char* name);
std::string below_headline(const Json& object, const char* name);

// Milliseconds, as "1.2 s".
std::string time(const Json& object, const char* name);

// "1 worker", "2 workers".
std::string plural(std::int64_t count, const std::string& one);

// The first digits of a release's id; all that it has when that is less.
std::string short_id(const std::string& id);

}  // namespace liveswap::cli
