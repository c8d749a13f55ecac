#include "client/asked.hpp"

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

constexpr std::size_t most_asked = 256;
// A listener that takes connections takes one at once: only a full queue makes connect() wait.
constexpr std::chrono::milliseconds connect_limit{5};
// A program that sends events without end must not hold up those that look for masters.
constexpr int most_lines = 16;

bool answers_status(const std::string& line) {
  return json::text(json::parse_or_null(line), "cmd") == protocol::word(protocol::Verb::status);
}

void hear(Connection& connection, Asked& asked) {
  asked.answer = Answer::foreign;
  std::string line;
  for (int i = 0; i < most_lines; ++i) {
    const auto did = connection.receive(line);
    if (did == Connection::Did::late) asked.answer = Answer::silent;
    if (did != Connection::Did::well) return;
    if (kind_of(line) == LineKind::event) continue;
    if (kind_of(line) != LineKind::answer || !answers_status(line)) return;
    asked.answer = Answer::master;
    const Outcome outcome = outcome_of(line);
    if (outcome.status == ok) asked.status = outcome.text;
    return;
  }
}

std::optional<Connection> connect_to_ask(Asked& asked, const Deadline& deadline) {
  Attempt attempt = connect_trusted(asked.socket, Deadline::after(connect_limit));
  asked.reached = attempt.reached;
  asked.text = std::move(attempt.text);
  asked.user = attempt.user;
  asked.process = attempt.process;
  if (attempt.reached == Reached::late) asked.answer = Answer::silent;
  if (attempt.reached != Reached::connected) return std::nullopt;
  protocol::Command command;
  command.verb = protocol::Verb::status;
  std::optional<Connection> connection(std::in_place, std::move(attempt.fd), deadline);
  // What this meets is met by receive() as well.
  connection->send(protocol::to_line(command));
  return connection;
}

}  // namespace

Attempt connect_trusted(const ControlSocket& socket, const Deadline& deadline) {
  const auto distrust = [&](const std::string& why) {
    return Attempt{Reached::forbidden, UniqueFd(), fmt::format("{} is not trusted: {}", socket.path(), why)};
  };
  struct stat info {};
  if (::lstat(socket.directory.c_str(), &info) != 0)
    return {errno == EACCES ? Reached::forbidden : Reached::nobody, UniqueFd(),
            os_error("look at", socket.directory, errno).text};
  struct stat socket_info {};
  if (!S_ISDIR(info.st_mode) || (::lstat(socket.path().c_str(), &socket_info) != 0 && errno == ENOENT))
    return {Reached::nobody, UniqueFd(), "no socket " + socket.path()};
  if (info.st_mode & 0022) return distrust("others may write to its directory");
  Attempt attempt = connect_unix(socket.path(), deadline);
  if (attempt.reached == Reached::connected && attempt.user != info.st_uid)
    return distrust(fmt::format("its directory belongs to user {}, and a process of user {} listens",
                                info.st_uid, attempt.user));
  return attempt;
}

// Every socket has its command before the first answer is waited for. So an answer that came in time is there
// when its turn comes, even if the deadline has passed by then.
std::vector<Asked> ask(const std::vector<ControlSocket>& sockets, std::chrono::milliseconds limit) {
  const auto deadline = Deadline::after(limit);
  std::vector<Asked> all;
  std::vector<std::optional<Connection>> connections;
  for (const auto& socket : sockets) {
    if (all.size() == most_asked) break;
    all.emplace_back().socket = socket;
    connections.push_back(connect_to_ask(all.back(), deadline));
  }
  for (std::size_t i = 0; i < all.size(); ++i)
    if (connections[i]) hear(*connections[i], all[i]);
  return all;
}

}  // namespace liveswap::client
