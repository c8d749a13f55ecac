#include "client/exchange.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/file.hpp"
#include "client/answer.hpp"
#include "client/connect.hpp"
#include "client/connection.hpp"
#include "protocol/instance.hpp"

namespace liveswap::client {
namespace {

using protocol::Command;
using protocol::Json;

constexpr std::size_t token_limit = 1024;
constexpr std::size_t said_limit = 64;

struct Door {
  Attempt attempt;
  std::string name;  // for messages
  bool wants_token = false;
};

// " -p 3001" for a command line that people may copy.
std::string port_option(const Client::Where& where) {
  return where.port == Client::Where().port ? "" : fmt::format(" -p {}", where.port);
}

std::string seconds(Milliseconds time) {
  return fmt::format("{:g} s", static_cast<double>(time.count()) / 1000);
}

protocol::Instance instance_of(const Client::Where& where) {
  const auto absolute = [](const std::string& path) {
    return path.empty() ? path : absolute_path(path, current_directory());
  };
  return protocol::locate_instance(where.port, absolute(where.state_dir), absolute(where.runtime_dir));
}

Door open_door(const Client::Where& where, const protocol::Instance& instance, const Deadline& deadline) {
  std::string no_socket;
  if (means_this_machine(where.address)) {
    Door local{connect_unix(instance.socket_path(), deadline), instance.socket_path(), false};
    if (local.attempt.reached != Reached::nobody) return local;
    no_socket = local.attempt.text + ", and ";
  }
  Door tcp{connect_tcp(where.address, where.port, deadline), endpoint(where.address, where.port), true};
  tcp.attempt.text = no_socket + tcp.attempt.text;
  return tcp;
}

Outcome explain(const Attempt& attempt, const Client::Where& where) {
  switch (attempt.reached) {
    case Reached::nobody:
      return {no_master, fmt::format("no master on port {} ({}){}", where.port, attempt.text,
                                     means_this_machine(where.address)
                                         ? "; start one: liveswap start libapp.so" + port_option(where)
                                         : "")};
    case Reached::forbidden:
      return {refused, attempt.text};
    case Reached::late:
      return {timed_out, fmt::format("no connection within {}: {}", seconds(where.timeout), attempt.text)};
    case Reached::connected:
    case Reached::failed:
      break;
  }
  return {failed, attempt.text};
}

// Without a token the command is sent as it is: a master may want none.
void fill_token(Command& command, const Client::Where& where, const protocol::Instance& instance) {
  command.token = where.token;
  // The token of an instance here is nobody else's business.
  if (!command.token.empty() || !means_this_machine(where.address)) return;
  auto token = read_small_file(instance.token_path(), token_limit);
  if (!token) return;
  while (!token->empty() && (token->back() == '\n' || token->back() == '\r')) token->pop_back();
  command.token = *token;
}

// to_line() repairs what is no UTF-8, and a repaired path names another file.
bool is_utf8(const std::string& text) {
  try {
    [[maybe_unused]] const auto written = Json(text).dump();
    return true;
  } catch (const Json::exception&) {
    return false;
  }
}

Outcome check_line(const Command& command, const std::string& line) {
  if (!is_utf8(command.value)) return {usage, "the value of the command is no UTF-8, expected UTF-8"};
  if (command.value.find('\0') != std::string::npos)
    return {usage, "the value of the command contains a NUL byte"};
  if (line.size() > protocol::line_limit)
    return {usage, fmt::format("the command has {} bytes as a line of JSON, expected at most {}", line.size(),
                               protocol::line_limit)};
  return {};
}

Outcome foreign(const Door& door, const std::string& said) {
  std::string shown = said.substr(0, said_limit);
  std::replace_if(
      shown.begin(), shown.end(), [](char c) { return c < 0x20 || c > 0x7e; }, '.');
  return {failed, fmt::format("who listens on {} is no liveswap master: it said \"{}\"", door.name, shown)};
}

Outcome explain(Connection::Did did, const Connection& connection, const Door& door, const Command& command,
                const Client::Where& where) {
  const std::string look = fmt::format("the outcome of {} is unknown, look: liveswap status{}",
                                       protocol::word(command.verb), port_option(where));
  if (did == Connection::Did::late)
    return {timed_out,
            fmt::format("no answer from {} within {}: {}", door.name, seconds(where.timeout), look)};
  if (!connection.beginning().empty() && connection.beginning().front() != '{')
    return foreign(door, connection.beginning());
  if (did == Connection::Did::too_long)
    return {failed,
            fmt::format("{} sent a line of more than {} bytes: {}", door.name, protocol::answer_limit, look)};
  return {failed, fmt::format("{} closed the connection before it answered: {}", door.name, look)};
}

Reply await(Connection& connection, const Door& door, const Command& command, const Client::Where& where,
            const Client::Event& event) {
  std::string line;
  for (;;) {
    const auto did = connection.receive(line);
    if (did != Connection::Did::well) return {explain(did, connection, door, command, where), {}};
    switch (kind_of(line)) {
      case LineKind::event:
        if (event) event(line);
        break;
      case LineKind::answer:
        return {outcome_of(line), line};
      case LineKind::foreign:
        return {foreign(door, line), {}};
    }
  }
}

}  // namespace

Reply exchange(const Client::Where& where, Command command, const Client::Event& event) {
  const auto deadline = Deadline::after(where.timeout);
  const auto instance = instance_of(where);
  if (auto checked = check_line(command, protocol::to_line(command)); checked.status != ok)
    return {checked, {}};
  Door door = open_door(where, instance, deadline);
  if (door.attempt.reached != Reached::connected) return {explain(door.attempt, where), {}};
  if (door.wants_token) fill_token(command, where, instance);
  Connection connection(std::move(door.attempt.fd), deadline);
  const auto sent = connection.send(protocol::to_line(command));
  if (sent == Connection::Did::late) return {explain(sent, connection, door, command, where), {}};
  return await(connection, door, command, where, event);
}

}  // namespace liveswap::client
