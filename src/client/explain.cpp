#include "client/explain.hpp"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>

#include "client/command_line.hpp"
#include "client/connect.hpp"
#include "client/sockets.hpp"
#include "client/status_query.hpp"
#include "json/fields.hpp"
#include "json/parse.hpp"
#include "protocol/command_line.hpp"
#include "protocol/message.hpp"

namespace liveswap::client {
namespace {

using protocol::Json;

constexpr std::size_t most_listed = 8;
constexpr std::chrono::milliseconds look_limit{500};

// What is known about the master on a port.
struct Master {
  std::optional<uid_t> user;
  std::int64_t process = 0;  // 0: unknown
  std::string directory;     // of the control socket; empty: unknown
};

// The owner of the directory, or of its nearest accessible parent.
uid_t owner_of(std::filesystem::path directory) {
  struct stat info {};
  while (::lstat(directory.c_str(), &info) != 0 && directory.has_relative_path())
    directory = directory.parent_path();
  return info.st_uid;
}

bool is_mine(const Master& master) { return !master.user || ::geteuid() == 0 || *master.user == ::geteuid(); }

std::string named(const Master& master, std::uint16_t port) {
  const std::string process = master.process > 0 ? fmt::format(" (pid {})", master.process) : "";
  if (!master.user || *master.user == ::geteuid())
    return fmt::format("the master on port {}{}", port, process);
  return fmt::format("the master on port {} belongs to {}{}", port, user_name(*master.user), process);
}

bool only_looks(protocol::Verb verb) {
  return verb == protocol::Verb::status || verb == protocol::Verb::history || verb == protocol::Verb::receipt;
}

bool belongs_to_root(const std::string& file) {
  struct stat info {};
  return ::lstat(file.c_str(), &info) == 0 && info.st_uid == 0;
}

Outcome not_mine(const Master& master, std::uint16_t port) {
  const bool of_root = *master.user == 0;
  return {refused,
          fmt::format(
              "{}: {}", named(master, port),
              of_root ? "use sudo" : fmt::format("run this as {}, or with sudo", user_name(*master.user)))};
}

std::string socket_of(const Master& master, std::uint16_t port) {
  return ControlSocket{master.directory, port}.path();
}

// The master belongs to this user, but its socket is in another directory.
Outcome in_another_directory(const Client::Where& where, const Master& master, const std::string& tried) {
  Client::Where there = where;
  there.runtime_dir = master.directory;
  return {no_master, fmt::format("{} listens in another runtime directory: {} ({}): say{}",
                                 named(master, where.port), master.directory, tried, options_of(there))};
}

// Sockets of masters; includes sockets that this user cannot query.
std::vector<ControlSocket> sockets_of_masters(const std::function<bool(std::uint16_t port)>& wanted) {
  auto sockets = control_sockets();
  std::erase_if(sockets, [&](const auto& socket) { return !wanted(socket.port) || !is_liveswap(socket); });
  std::vector<ControlSocket> masters;
  for (const auto& queried : query_sockets(sockets, look_limit))
    if (queried.answer != Answer::foreign) masters.push_back(queried.socket);
  return masters;
}

std::string instances_that_run(std::uint16_t but) {
  std::string line;
  std::size_t count = 0;
  for (const auto& socket : sockets_of_masters([&](std::uint16_t port) { return port != but; })) {
    if (++count > most_listed) continue;
    const uid_t user = owner_of(socket.directory);
    line += fmt::format("{}{}{}", line.empty() ? "" : ", ", socket.port,
                        user == ::geteuid() ? "" : " of " + user_name(user));
  }
  if (count > most_listed) line += fmt::format(" and {} more", count - most_listed);
  return line.empty() ? "" : "; instances that run: " + line + " (`liveswap list`)";
}

// Finds the socket of the master on a port.
std::optional<Master> find_socket(std::uint16_t wanted) {
  const auto sockets = sockets_of_masters([&](std::uint16_t port) { return port == wanted; });
  if (sockets.empty()) return std::nullopt;
  return Master{owner_of(sockets.front().directory), 0, sockets.front().directory};
}

}  // namespace

Outcome explain_no_master(const Client::Where& where, const protocol::Instance& instance,
                          const std::string& tried) {
  if (!means_this_machine(where.address))
    return {no_master, fmt::format("no master on port {} ({})", where.port, tried)};
  if (const auto master = find_socket(where.port); master && master->directory != instance.runtime_dir) {
    if (!is_mine(*master)) return not_mine(*master, where.port);
    return in_another_directory(where, *master, tried);
  }
  return {no_master, fmt::format("no master on port {} ({}){}; start one: {}", where.port, tried,
                                 instances_that_run(where.port), command_line(where, "start libapp.so"))};
}

Outcome explain_token_refusal(const Client::Where& where, const protocol::Instance& instance,
                              const std::string& line, Outcome refused_by) {
  const Json answer = json::parse_or_null(line);
  const Json& told = json::member(answer, "master");
  if (refused_by.status != refused || !told.is_object()) return refused_by;
  Master master{owner_of_port(where.port), json::number(told, "pid").value_or(0),
                std::filesystem::path(json::text_or_empty(told, "socket")).parent_path()};
  if (const auto user = json::number(told, "user", 0, UINT32_MAX); user && !master.user)
    master.user = static_cast<uid_t>(*user);
  if (!is_mine(master)) return not_mine(master, where.port);
  if (master.directory != instance.runtime_dir && !where.runtime_dir.empty())
    return in_another_directory(where, master, "no socket " + instance.socket_path());
  return {
      refused,
      fmt::format("{} cannot be reached by its control socket {}, and {} is not its token: say --state-dir "
                  "as it was started with, or start it again",
                  named(master, where.port), socket_of(master, where.port), instance.token_path())};
}

std::optional<Outcome> refuse_other_owner(const Client::Where& where, const protocol::Instance& instance,
                                          const Endpoint& endpoint, protocol::Verb verb, bool told) {
  // --state-dir alone does not name a socket.
  const bool named_by_user = !where.runtime_dir.empty();
  if (::geteuid() != 0 || endpoint.wants_token || endpoint.attempt.user == 0 || named_by_user ||
      only_looks(verb))
    return std::nullopt;
  const bool has_own = belongs_to_root(instance.head_path());
  if (told && !has_own) return std::nullopt;
  const std::string directory = std::filesystem::path(endpoint.name).parent_path();
  const std::string own =
      has_own ? fmt::format(", and root's own instance there ({}) does not run", instance.head_path()) : "";
  return Outcome{refused,
                 fmt::format("{}{}: if that one is meant, say{}",
                             named({endpoint.attempt.user, endpoint.attempt.process, directory}, where.port),
                             own, protocol::option("--runtime-dir", directory))};
}

}  // namespace liveswap::client
