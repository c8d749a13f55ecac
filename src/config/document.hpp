#pragma once

#include <string>
#include <vector>

#include "base/error.hpp"

// A YAML file as a small tree of values with places. What yaml-cpp does with a document (aliases, tags,
// conversions, exceptions) stays behind this page.
namespace liveswap::config {

struct Node {
  enum class Kind { null, scalar, list, map };
  Kind kind = Kind::null;
  int line = 0;             // from 1
  int column = 0;           // from 1, in bytes
  std::string text;         // of a scalar; without NUL
  std::vector<Node> items;  // of a list; of a map key, value, key, value, … where every key is a scalar
};

// "a list": for messages.
const char* word(Node::Kind kind);

// The one document in `content`, a null when there is none. `file` is what errors begin with:
// `file:line:column: …`. Hostile content is an error: no UTF-8, control characters, aliases, tags, more than
// 8 levels or 10,000 values.
Result<Node> parse_document(const std::string& content, const std::string& file);

}  // namespace liveswap::config
