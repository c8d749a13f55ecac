#include "release/head.hpp"

#include "base/file.hpp"

namespace liveswap::release {
namespace {

constexpr std::size_t head_limit = 4096 + 1;  // PATH_MAX and a newline

Error about(const std::string& file, const std::string& found) {
  return {"the HEAD file " + file + " " + found + ", expected one line with an absolute path"};
}

}  // namespace

Result<std::string> read_head(const std::string& file) {
  auto text = read_small_file(file, head_limit);
  if (!text) return fail("the HEAD file cannot be used: " + text.error().text);
  return parse_head(std::move(*text), file);
}

Result<std::string> parse_head(std::string text, const std::string& file) {
  if (!text.empty() && text.back() == '\n') text.pop_back();
  if (text.empty()) return tl::unexpected<Error>(about(file, "is empty"));
  if (text.find('\n') != std::string::npos)
    return tl::unexpected<Error>(about(file, "has more than one line"));
  if (text.find('\0') != std::string::npos) return tl::unexpected<Error>(about(file, "contains a NUL byte"));
  if (text.front() != '/') return tl::unexpected<Error>(about(file, "does not begin with /"));
  return text;
}

Result<void> write_head(const std::string& file, const std::string& path) {
  return replace_file(file, path + "\n", 0644);
}

}  // namespace liveswap::release
