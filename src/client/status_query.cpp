#include "client/status_query.hpp"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <optional>

#include "base/error.hpp"
#include "client/answer.hpp"
#include "client/connection.hpp"
#include "json/fields.hpp"
#include "json/parse.hpp"
#include "protocol/message.hpp"

namespace liveswap::client {
namespace {

constexpr std::size_t socket_limit = 256;
// connect() waits only if the accept queue is full; a healthy listener accepts immediately.
constexpr std::chrono::milliseconds connect_limit{5};
// Limit of lines before the answer: a foreign program may send events without end.
constexpr int most_lines = 16;

bool answers_status(const std::string& line) {
  return json::text(json::parse_or_null(line), "cmd") == protocol::word(protocol::Verb::status);
}

void receive_status(Connection& connection, QueriedSocket& queried) {
  queried.answer = Answer::foreign;
  std::string line;
  for (int i = 0; i < most_lines; ++i) {
    const auto result = connection.receive(line);
    if (result == Connection::IoResult::timed_out) queried.answer = Answer::silent;
    if (result != Connection::IoResult::ok) return;
    if (kind_of(line) == LineKind::event) continue;
    if (kind_of(line) != LineKind::answer || !answers_status(line)) return;
    queried.answer = Answer::master;
    const Outcome outcome = outcome_of(line);
    if (outcome.status == ok) queried.status = outcome.text;
    return;
  }
}

std::optional<Connection> send_query(QueriedSocket& queried, const Deadline& deadline) {
  Attempt attempt = connect_trusted(queried.socket, Deadline::after(connect_limit));
  queried.result = attempt.result;
  queried.text = std::move(attempt.text);
  queried.user = attempt.user;
  queried.process = attempt.process;
  if (attempt.result == ConnectResult::timed_out) queried.answer = Answer::silent;
  if (attempt.result != ConnectResult::connected) return std::nullopt;
  protocol::Command command;
  command.verb = protocol::Verb::status;
  std::optional<Connection> connection(std::in_place, std::move(attempt.fd), deadline);
  // receive() reports any error again.
  connection->send(protocol::to_line(command));
  return connection;
}

}  // namespace

Attempt connect_trusted(const ControlSocket& socket, const Deadline& deadline) {
  const auto distrust = [&](const std::string& why) {
    return Attempt{ConnectResult::forbidden, UniqueFd(),
                   fmt::format("{} is not trusted: {}", socket.path(), why)};
  };
  struct stat info {};
  if (::lstat(socket.directory.c_str(), &info) != 0)
    return {errno == EACCES ? ConnectResult::forbidden : ConnectResult::no_listener, UniqueFd(),
            os_error("look at", socket.directory, errno).text};
  struct stat socket_info {};
  if (!S_ISDIR(info.st_mode) || (::lstat(socket.path().c_str(), &socket_info) != 0 && errno == ENOENT))
    return {ConnectResult::no_listener, UniqueFd(), "no socket " + socket.path()};
  if (info.st_mode & 0022) return distrust("others may write to its directory");
  Attempt attempt = connect_unix(socket.path(), deadline);
  if (attempt.result == ConnectResult::connected && attempt.user != info.st_uid)
    return distrust(fmt::format("its directory belongs to user {}, and a process of user {} listens",
                                info.st_uid, attempt.user));
  return attempt;
}

// Sends the command to every socket before waiting for the first answer. An answer that arrived in time is
// read even if the deadline has passed meanwhile.
std::vector<QueriedSocket> query_sockets(const std::vector<ControlSocket>& sockets,
                                         std::chrono::milliseconds limit) {
  const auto deadline = Deadline::after(limit);
  std::vector<QueriedSocket> all;
  std::vector<std::optional<Connection>> connections;
  for (const auto& socket : sockets) {
    if (all.size() == socket_limit) break;
    all.emplace_back().socket = socket;
    connections.push_back(send_query(all.back(), deadline));
  }
  for (std::size_t i = 0; i < all.size(); ++i)
    if (connections[i]) receive_status(*connections[i], all[i]);
  return all;
}

}  // namespace liveswap::client
