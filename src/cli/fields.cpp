#include "cli/fields.hpp"

#include "base/tail.hpp"
#include "cli/duration_text.hpp"
#include "cli/printable.hpp"

namespace liveswap::cli {

std::string text(const Json& object, const char* name) {
  const Json& found = member(object, name);
  if (found.is_string()) return printable(found.get_ref<const std::string&>());
  return found.is_number_integer() ? found.dump() : "?";
}

std::string headline(const Json& object, const char* name) {
  const Json& found = member(object, name);
  return found.is_string() ? printable(first_line(found.get_ref<const std::string&>())) : text(object, name);
}

std::string below_headline(const Json& object, const char* name) {
  const Json& found = member(object, name);
  if (!found.is_string()) return "";
  const auto& whole = found.get_ref<const std::string&>();
  const auto newline = whole.find('\n');
  return newline == std::string::npos ? "" : printable(whole.substr(newline + 1), true) + "\n";
}

std::string time(const Json& object, const char* name) {
  const auto found = number(object, name);
  return found ? duration_text(std::chrono::milliseconds(*found)) : "?";
}

}  // namespace liveswap::cli
