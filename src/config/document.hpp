#pragma once

#include <string>
#include <vector>

#include "base/error.hpp"

// A YAML file as a tree of values with positions. Hides yaml-cpp (aliases, tags, conversions, exceptions).
namespace liveswap::config {

struct Node {
  enum class Kind { null, scalar, list, map };
  Kind kind = Kind::null;
  int line = 0;             // from 1
  int column = 0;           // from 1, in bytes
  std::string text;         // of a scalar; without NUL
  std::vector<Node> items;  // of a list; of a map: key, value, key, value, …; keys are scalars
};

// "a list": for messages.
const char* word(Node::Kind kind);

// Parses the single document in `content`; null if there is none. Errors start with `file:line:column: `.
// Rejected: invalid UTF-8, control characters, aliases, tags, more than 8 levels or 10,000 values.
Result<Node> parse_document(const std::string& content, const std::string& file);

}  // namespace liveswap::config
