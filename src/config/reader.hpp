#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "config/document.hpp"

namespace liveswap::config {

// The name of `entry` in messages, prefixed with its option: `limits: "core"`.
Node labelled(const Node& entry, std::string_view option);

// Converts the nodes of one file to values and collects errors. An invalid value leaves the target unchanged.
class Reader {
 public:
  // `directory`: absolute; the base of relative paths in the file.
  Reader(std::string file, std::string directory)
      : file_(std::move(file)), directory_(std::move(directory)) {}

  const std::string& directory() const { return directory_; }
  const std::vector<std::string>& problems() const { return problems_; }
  void complain(const Node& at, const std::string& text);

  // Reports an error unless `node`, the value of `key`, is of this kind.
  bool is(const Node& key, const Node& node, Node::Kind kind);

  // `parse`: a function of values.hpp, or one like them: Result<T>(const std::string&).
  template <class T, class Parse>
  void value(const Node& key, const Node& node, T& into, Parse parse) {
    if (!is(key, node, Node::Kind::scalar)) return;
    if (auto parsed = parse(node.text)) into = std::move(*parsed);
    else complain(node, key.text + ": " + parsed.error().text);
  }

  // The address of a listener with an absolute socket path.
  Result<std::string> address(const std::string& text) const;

  // Calls `entry(key, value)` for each key of a map. A duplicate key is an error; the first one counts.
  template <class Entry>
  void entries(const Node& map, Entry entry) {
    std::map<std::string_view, int> lines;
    for (std::size_t i = 0; i + 1 < map.items.size(); i += 2) {
      const Node& key = map.items[i];
      const auto [first, fresh] = lines.emplace(key.text, key.line);
      if (fresh) entry(key, map.items[i + 1]);
      else complain_of_second(key, first->second);
    }
  }

 private:
  void complain_of_second(const Node& key, int first_line);

  std::string file_;
  std::string directory_;
  std::vector<std::string> problems_;
};

}  // namespace liveswap::config
