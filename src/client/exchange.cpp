#include "client/exchange.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/file.hpp"
#include "client/answer.hpp"
#include "client/command_line.hpp"
#include "client/connect.hpp"
#include "client/connection.hpp"
#include "client/door.hpp"
#include "client/whose.hpp"
#include "json/parse.hpp"
#include "protocol/command_line.hpp"
#include "protocol/instance.hpp"

namespace liveswap::client {
namespace {

using protocol::Command;
using protocol::Json;

constexpr std::size_t token_limit = 1024;
constexpr std::size_t said_limit = 64;

std::string seconds(Milliseconds time) {
  return fmt::format("{:g} s", static_cast<double>(time.count()) / 1000);
}

protocol::Instance instance_of(const Client::Where& where) {
  const auto absolute = [](const std::string& path) {
    return path.empty() ? path : absolute_path(path, current_directory());
  };
  return protocol::locate_instance(where.port, absolute(where.state_dir), absolute(where.runtime_dir));
}

Outcome explain(const Attempt& attempt, const Client::Where& where, const protocol::Instance& instance) {
  switch (attempt.reached) {
    case Reached::nobody:
      return explain_nobody(where, instance, attempt.text);
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
  const auto owner = owner_of_port(where.port);
  if (where.state_dir.empty() && owner && *owner != ::geteuid()) return;
  auto token = read_small_file(instance.token_path(), token_limit);
  if (!token) return;
  while (!token->empty() && (token->back() == '\n' || token->back() == '\r')) token->pop_back();
  command.token = *token;
}

// Root reaches the masters of everybody, and may not know it.
void tell_owner(const Door& door, const Client::Where& where) {
  if (door.wants_token || door.attempt.user == ::geteuid() || !notice()) return;
  notice()(fmt::format("the master on port {} belongs to {} (pid {})", where.port,
                       user_name(door.attempt.user), door.attempt.process));
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
  return {failed, fmt::format("what listens on {} is no liveswap master: it said \"{}\"", door.name, shown)};
}

Outcome explain(Connection::Did did, const Connection& connection, const Door& door, const Command& command,
                const Client::Where& where) {
  const std::string look = fmt::format("the outcome of {} is unknown, look: {}", protocol::word(command.verb),
                                       command_line(where, "status"));
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

// A document is completed text by text: an option may have characters that JSON quotes.
std::string completed(const std::string& text, const std::string& options) {
  Json document = json::parse_or_null(text);
  if (!document.is_structured()) return protocol::with_options(text, options);
  return protocol::document_with_options(std::move(document), options)
      .dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace

Reply exchange(const Client::Where& where, Command command, const Client::Event& event) {
  const auto deadline = Deadline::after(where.timeout);
  const auto instance = instance_of(where);
  if (auto checked = check_line(command, protocol::to_line(command)); checked.status != ok)
    return {checked, {}};
  Door door = open_door(where, instance, deadline);
  if (door.attempt.reached != Reached::connected) return {explain(door.attempt, where, instance), {}};
  if (door.wants_token) fill_token(command, where, instance);
  if (auto refusal = refuse_stranger(where, instance, door, command.verb, bool(notice())))
    return {*refusal, {}};
  tell_owner(door, where);
  Connection connection(std::move(door.attempt.fd), deadline);
  const auto sent = connection.send(protocol::to_line(command));
  if (sent == Connection::Did::late) return {explain(sent, connection, door, command, where), {}};
  Reply reply = await(connection, door, command, where, event);
  if (door.wants_token)
    reply.outcome = explain_no_token(where, instance, reply.line, std::move(reply.outcome));
  reply.outcome.text = completed(reply.outcome.text, options_of(where));
  return reply;
}

}  // namespace liveswap::client
