#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>

#include "json/fields.hpp"

// Formats members of an untrusted document. A missing member, or one of the wrong type, becomes "?" or empty.
namespace liveswap::cli {

using Json = nlohmann::json;

using json::is_true;
using json::list;
using json::member;
using json::number;

// Printable (printable.hpp).
std::string text(const Json& object, const char* name);
// For a text of several lines, such as an error with the worker's last output: the first line, as text()
// returns it; the other lines, each with a newline.
std::string headline(const Json& object, const char* name);
std::string below_headline(const Json& object, const char* name);

// Milliseconds as "1.2 s".
std::string time(const Json& object, const char* name);

}  // namespace liveswap::cli
