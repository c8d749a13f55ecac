#include "client/sockets.hpp"

#include <fmt/format.h>
#include <pwd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <tuple>

#include "base/file.hpp"

namespace liveswap::client {
namespace {

// Bound for machines with very many sockets; the rest of the table is ignored.
constexpr std::size_t table_limit = 64 << 20;
constexpr std::string_view suffix = ".sock";
constexpr std::string_view listening_unix = "00010000", stream = "0001", listening_tcp = "0A";

std::string_view next_line(std::string_view& text) {
  const auto end = std::min(text.find('\n'), text.size());
  const auto line = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  return line;
}

std::string_view next_word(std::string_view& line) {
  line.remove_prefix(std::min(line.find_first_not_of(' '), line.size()));
  const auto end = std::min(line.find(' '), line.size());
  const auto word = line.substr(0, end);
  line.remove_prefix(end);
  return word;
}

template <class Number>
std::optional<Number> number(std::string_view text, int base) {
  Number value{};
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (failed != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// Columns: Num RefCount Protocol Flags Type St Inode Path
std::optional<ControlSocket> parse_line(std::string_view line) {
  for (int i = 0; i < 3; ++i) next_word(line);
  if (next_word(line) != listening_unix || next_word(line) != stream) return std::nullopt;
  for (int i = 0; i < 2; ++i) next_word(line);
  if (line.size() < 2) return std::nullopt;
  line.remove_prefix(1);  // a single space: the path may start with more
  const auto slash = line.rfind('/');
  if (line.front() != '/' || slash == 0 || !line.ends_with(suffix)) return std::nullopt;
  const auto name = line.substr(slash + 1, line.size() - slash - 1 - suffix.size());
  const auto port = number<std::uint16_t>(name, 10);
  if (!port || *port == 0 || name.front() == '0') return std::nullopt;
  return ControlSocket{std::string(line.substr(0, slash)), *port};
}

}  // namespace

std::vector<ControlSocket> parse_control_sockets(std::string_view table) {
  std::vector<ControlSocket> found;
  while (!table.empty())
    if (auto socket = parse_line(next_line(table))) found.push_back(std::move(*socket));
  std::sort(found.begin(), found.end(), [](const auto& a, const auto& b) {
    return std::tie(a.port, a.directory) < std::tie(b.port, b.directory);
  });
  found.erase(std::unique(found.begin(), found.end()), found.end());
  return found;
}

std::vector<ControlSocket> control_sockets() {
  const auto table = read_small_file("/proc/net/unix", table_limit);
  return table ? parse_control_sockets(*table) : std::vector<ControlSocket>{};
}

bool is_liveswap(const ControlSocket& socket) {
  // A --listen socket also has a lock file. Unlike a control socket, it has a second hard link of this name.
  const std::string spare = fmt::format("{}/.{}.sock.liveswap", socket.directory, socket.port);
  if (::access(spare.c_str(), F_OK) == 0) return false;
  if (::access((socket.path() + ".lock").c_str(), F_OK) == 0) return true;
  const auto name = socket.directory.substr(socket.directory.rfind('/') + 1);
  return errno == EACCES && name.starts_with("liveswap");
}

// Columns: sl local_address rem_address st tx_queue:rx_queue tr:tm->when retrnsmt uid ...
std::optional<uid_t> parse_owner(std::string_view table, std::uint16_t port) {
  while (!table.empty()) {
    auto line = next_line(table);
    next_word(line);
    const auto local = next_word(line);
    next_word(line);
    const auto colon = local.rfind(':');
    if (next_word(line) != listening_tcp || colon == std::string_view::npos) continue;
    if (number<std::uint16_t>(local.substr(colon + 1), 16) != port) continue;
    for (int i = 0; i < 3; ++i) next_word(line);
    return number<uid_t>(next_word(line), 10);
  }
  return std::nullopt;
}

std::optional<uid_t> owner_of_port(std::uint16_t port) {
  for (const char* path : {"/proc/net/tcp", "/proc/net/tcp6"})
    if (const auto table = read_small_file(path, table_limit))
      if (const auto owner = parse_owner(*table, port)) return owner;
  return std::nullopt;
}

std::string user_name(uid_t user) {
  passwd entry{};
  passwd* found = nullptr;
  char text[4096];
  ::getpwuid_r(user, &entry, text, sizeof text, &found);
  return found && found->pw_name ? found->pw_name : fmt::format("user {}", user);
}

}  // namespace liveswap::client
