#include "config/reader.hpp"

#include <fmt/format.h>

#include "base/file.hpp"
#include "config/address.hpp"
#include "config/quote.hpp"

namespace liveswap::config {

Node labelled(const Node& entry, std::string_view option) {
  Node label;
  label.line = entry.line;
  label.column = entry.column;
  label.text =
      entry.kind == Node::Kind::scalar ? fmt::format("{}: {}", option, in_quotes(entry.text)) : option;
  return label;
}

void Reader::complain(const Node& at, const std::string& text) {
  problems_.push_back(fmt::format("{}:{}:{}: {}", file_, at.line, at.column, text));
}

bool Reader::is(const Node& key, const Node& node, Node::Kind kind) {
  if (node.kind == kind) return true;
  // A missing value has no position; use that of its key.
  complain(node.kind == Node::Kind::null ? key : node,
           fmt::format("{}: found {}, expected {}", key.text, word(node.kind), word(kind)));
  return false;
}

Result<std::string> Reader::address(const std::string& text) const {
  return parse_address(text).and_then([&](const Address& address) -> Result<std::string> {
    if (address.kind != Address::Kind::unix_path) return text;
    // The absolute path may exceed the limit of a socket address.
    std::string absolute = "unix:" + absolute_path(address.path, directory_);
    if (const auto checked = parse_address(absolute); !checked) return tl::unexpected<Error>(checked.error());
    return absolute;
  });
}

void Reader::complain_of_second(const Node& key, int first_line) {
  complain(key, fmt::format("the key {} is there twice, first in line {}", in_quotes(key.text), first_line));
}

}  // namespace liveswap::config
