#include "protocol/command_line.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

namespace liveswap::protocol {
namespace {

constexpr std::uint16_t default_port = 3000;
constexpr std::string_view begin_of_command = "`liveswap ";
constexpr std::string_view plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./:@%+=,";
constexpr std::array<std::string_view, 5> of_no_instance{"check", "verify", "list", "version", "help"};

// Quotes a word for a shell.
std::string quoted(std::string_view text) {
  if (!text.empty() && text.find_first_not_of(plain) == std::string_view::npos) return std::string(text);
  std::string result = "'";
  for (const char c : text) result += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return result + "'";
}

}  // namespace

std::string option(std::string_view name, std::string_view value) {
  return fmt::format(" {} {}", name, quoted(value));
}

std::string port_option(std::uint16_t port) {
  return port == default_port ? "" : option("-p", std::to_string(port));
}

std::string directory_options(const std::string& state_dir, const std::string& runtime_dir) {
  std::string options;
  if (!state_dir.empty()) options += option("--state-dir", state_dir);
  if (!runtime_dir.empty()) options += option("--runtime-dir", runtime_dir);
  return options;
}

std::string with_options(std::string_view text, std::string_view options) {
  std::string result;
  for (;;) {
    const auto begin = text.find(begin_of_command);
    const auto command = begin + begin_of_command.size();
    const auto end = begin == std::string_view::npos ? begin : text.find('`', command);
    if (end == std::string_view::npos) return result + std::string(text);
    const auto word = text.substr(command, text.substr(command, end - command).find(' '));
    result += text.substr(0, end);
    if (std::find(of_no_instance.begin(), of_no_instance.end(), word.substr(0, word.find('`'))) ==
        of_no_instance.end())
      result += options;
    result += '`';
    text.remove_prefix(end + 1);
  }
}

Json document_with_options(Json document, std::string_view options) {
  if (document.is_string()) return with_options(document.get_ref<const std::string&>(), options);
  if (document.is_structured())
    for (auto& part : document) part = document_with_options(std::move(part), options);
  return document;
}

}  // namespace liveswap::protocol
