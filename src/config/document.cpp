#include "config/document.hpp"

#include <fmt/format.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include <optional>
#include <sstream>

namespace liveswap::config {
namespace {

constexpr std::size_t depth_limit = 8;
constexpr std::size_t node_limit = 10'000;

// Thrown like errors of yaml-cpp, so parsing stops at the first error of either kind.
[[noreturn]] void refuse(const YAML::Mark& mark, const std::string& why) {
  throw YAML::ParserException(mark, why);
}

// Builds a tree from the events of yaml-cpp's parser. YAML::Node would follow aliases and hide duplicate
// keys.
class Builder final : public YAML::EventHandler {
 public:
  Node take() { return root_ ? std::move(*root_) : Node{}; }

  // Start of the last scalar.
  const YAML::Mark& last() const { return last_; }

  void OnDocumentStart(const YAML::Mark& mark) override {
    if (root_) refuse(mark, "found more behind the end of the document, expected one document");
  }
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t) override {
    if (is_key()) refuse(mark, "found nothing as a key, expected a word");
    add(node(Node::Kind::null, mark));
  }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override {
    refuse(mark, "found an alias, expected a value: aliases are not supported");
  }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t,
                const std::string& text) override {
    check_tag(mark, tag);
    if (text.find('\0') != std::string::npos) refuse(mark, "found a NUL character in a text");
    last_ = mark;
    Node scalar = node(Node::Kind::scalar, mark);
    scalar.text = text;
    add(std::move(scalar));
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t,
                       YAML::EmitterStyle::value) override {
    open(Node::Kind::list, mark, tag);
  }
  void OnSequenceEnd() override { close(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t,
                  YAML::EmitterStyle::value) override {
    open(Node::Kind::map, mark, tag);
  }
  void OnMapEnd() override { close(); }

 private:
  Node node(Node::Kind kind, const YAML::Mark& mark) {
    if (++count_ > node_limit) refuse(mark, fmt::format("found more than {} values", node_limit));
    Node made;
    made.kind = kind;
    made.line = mark.line + 1;
    made.column = mark.column + 1;
    return made;
  }

  // yaml-cpp reports "?" for a plain value and "!" for a quoted one.
  static void check_tag(const YAML::Mark& mark, const std::string& tag) {
    if (!tag.empty() && tag != "?" && tag != "!")
      refuse(mark, "found a tag, expected a value: tags are not supported");
  }

  void open(Node::Kind kind, const YAML::Mark& mark, const std::string& tag) {
    check_tag(mark, tag);
    if (open_.size() == depth_limit) refuse(mark, fmt::format("found more than {} levels", depth_limit));
    if (is_key()) refuse(mark, fmt::format("found {} as a key, expected a word", word(kind)));
    open_.push_back(node(kind, mark));
  }

  void close() {
    Node done = std::move(open_.back());
    open_.pop_back();
    add(std::move(done));
  }

  bool is_key() const {
    return !open_.empty() && open_.back().kind == Node::Kind::map && open_.back().items.size() % 2 == 0;
  }

  void add(Node node) {
    if (open_.empty()) {
      root_ = std::move(node);
      return;
    }
    open_.back().items.push_back(std::move(node));
  }

  std::optional<Node> root_;
  std::vector<Node> open_;
  YAML::Mark last_;
  std::size_t count_ = 0;
};

// Size in bytes of the UTF-8 character at `at`; 0 if invalid, or a control character not allowed in text.
std::size_t character_length(const std::string& text, std::size_t at) {
  const auto byte = [&](std::size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0U; };
  const unsigned first = byte(at);
  if (first < 0x80)
    return first == '\t' || first == '\n' || first == '\r' || (first >= 0x20 && first != 0x7f) ? 1 : 0;
  const std::size_t length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  if (first < 0xc2 || first > 0xf4) return 0;
  for (std::size_t i = 1; i < length; ++i)
    if ((byte(at + i) & 0xc0) != 0x80) return 0;
  // Overlong forms, surrogates, and above U+10FFFF.
  const unsigned second = byte(at + 1);
  const bool bad = (first == 0xe0 && second < 0xa0) || (first == 0xed && second > 0x9f) ||
                   (first == 0xf0 && second < 0x90) || (first == 0xf4 && second > 0x8f);
  return bad ? 0 : length;
}

Result<void> check_text(const std::string& text, const std::string& file) {
  int line = 1;
  std::size_t start = 0;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t length = character_length(text, at);
    if (length == 0)
      return fail(fmt::format("{}:{}:{}: found the byte 0x{:02x}, expected text in UTF-8", file, line,
                              at - start + 1, static_cast<unsigned char>(text[at])));
    if (text[at] == '\n') {
      ++line;
      start = at + 1;
    }
    at += length;
  }
  return {};
}

// The offset in `text` of a mark.
std::size_t offset_of(const std::string& text, const YAML::Mark& mark) {
  std::size_t start = 0;
  for (int line = 0; line < mark.line; ++line) start = text.find('\n', start) + 1;
  return start + static_cast<std::size_t>(mark.column);
}

// yaml-cpp accepts a missing closing quote at the end of the file. Only the last scalar can lack one.
void check_closed(const std::string& text, const YAML::Mark& mark) {
  std::size_t at = offset_of(text, mark);
  const char quote = at < text.size() ? text[at] : '\0';
  if (quote != '"' && quote != '\'') return;
  while (++at < text.size()) {
    const bool pair = at + 1 < text.size() && text[at + 1] == '\'';
    if (quote == '"' ? text[at] == '\\' : text[at] == quote && pair) ++at;
    else if (text[at] == quote) return;
  }
  refuse(mark, "found a quote that is never closed");
}

}  // namespace

const char* word(Node::Kind kind) {
  switch (kind) {
    case Node::Kind::null: return "nothing";
    case Node::Kind::scalar: return "a single value";
    case Node::Kind::list: return "a list";
    case Node::Kind::map: return "a map";
  }
  return "?";
}

Result<Node> parse_document(const std::string& content, const std::string& file) {
  // Marks do not count a byte order mark.
  const std::string text = content.starts_with("\xef\xbb\xbf") ? content.substr(3) : content;
  if (auto checked = check_text(text, file); !checked) return tl::unexpected<Error>(checked.error());
  try {
    std::istringstream stream(text);
    YAML::Parser parser(stream);
    Builder builder;
    while (parser.HandleNextDocument(builder)) {
    }
    check_closed(text, builder.last());
    return builder.take();
  } catch (const YAML::Exception& error) {
    const auto& mark = error.mark;
    if (mark.is_null()) return fail(fmt::format("{}: {}", file, error.msg));
    return fail(fmt::format("{}:{}:{}: {}", file, mark.line + 1, mark.column + 1, error.msg));
  } catch (const std::exception& error) {
    return fail(fmt::format("{}: cannot be read as YAML: {}", file, error.what()));
  }
}

}  // namespace liveswap::config
