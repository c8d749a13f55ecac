#include "client/exchange.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/file.hpp"
#include "client/answer.hpp"
#include "client/command_line.hpp"
#include "client/connect.hpp"
#include "client/connect_master.hpp"
#include "client/connection.hpp"
#include "client/explain.hpp"
#include "client/orphans.hpp"
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
  switch (attempt.result) {
    case ConnectResult::no_listener: return explain_no_master(where, instance, attempt.text);
    case ConnectResult::forbidden: return {refused, attempt.text};
    case ConnectResult::timed_out:
      return {timed_out, fmt::format("no connection within {}: {}", seconds(where.timeout), attempt.text)};
    case ConnectResult::connected:
    case ConnectResult::failed: break;
  }
  return {failed, attempt.text};
}

// Without a token the command is sent as is: the master may run with --no-auth.
void fill_token(Command& command, const Client::Where& where, const protocol::Instance& instance) {
  command.token = where.token;
  // Never sends the token of this user's instance to a process of another user.
  if (!command.token.empty() || !means_this_machine(where.address)) return;
  const auto owner = owner_of_port(where.port);
  if (where.state_dir.empty() && owner && *owner != ::geteuid()) return;
  auto token = read_small_file(instance.token_path(), token_limit);
  if (!token) return;
  while (!token->empty() && (token->back() == '\n' || token->back() == '\r')) token->pop_back();
  command.token = *token;
}

// Tells root that the master belongs to another user.
void tell_owner(const Endpoint& endpoint, const Client::Where& where) {
  if (endpoint.wants_token || endpoint.attempt.user == ::geteuid() || !owner_notice()) return;
  owner_notice()(fmt::format("the master on port {} belongs to {} (pid {})", where.port,
                             user_name(endpoint.attempt.user), endpoint.attempt.process));
}

// to_line() replaces invalid UTF-8, which would turn a path into another one.
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

Outcome foreign(const Endpoint& endpoint, const std::string& said) {
  std::string shown = said.substr(0, said_limit);
  std::replace_if(
      shown.begin(), shown.end(), [](char c) { return c < 0x20 || c > 0x7e; }, '.');
  return {failed,
          fmt::format("what listens on {} is no liveswap master: it said \"{}\"", endpoint.name, shown)};
}

Outcome explain(Connection::IoResult result, const Connection& connection, const Endpoint& endpoint,
                const Command& command, const Client::Where& where) {
  const std::string look = fmt::format("the outcome of {} is unknown, see: {}", protocol::word(command.verb),
                                       command_line(where, "status"));
  if (result == Connection::IoResult::timed_out)
    return {timed_out,
            fmt::format("no answer from {} within {}: {}", endpoint.name, seconds(where.timeout), look)};
  if (!connection.beginning().empty() && connection.beginning().front() != '{')
    return foreign(endpoint, connection.beginning());
  if (result == Connection::IoResult::too_long)
    return {failed, fmt::format("{} sent a line of more than {} bytes: {}", endpoint.name,
                                protocol::answer_limit, look)};
  return {failed, fmt::format("{} closed the connection before it answered: {}", endpoint.name, look)};
}

Reply await(Connection& connection, const Endpoint& endpoint, const Command& command,
            const Client::Where& where, const Client::Event& event) {
  std::string line;
  for (;;) {
    const auto result = connection.receive(line);
    if (result != Connection::IoResult::ok)
      return {explain(result, connection, endpoint, command, where), {}};
    switch (kind_of(line)) {
      case LineKind::event:
        if (event) event(line);
        break;
      case LineKind::answer: return {outcome_of(line), line};
      case LineKind::foreign: return {foreign(endpoint, line), {}};
    }
  }
}

// Completes each text of a document after parsing: options may contain characters that JSON escapes.
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
  Endpoint endpoint = connect_master(where, instance, deadline);
  if (endpoint.attempt.result == ConnectResult::no_listener && means_this_machine(where.address))
    if (auto answer = ask_orphans(where, instance, command.verb)) return {*answer, {}};
  if (endpoint.attempt.result != ConnectResult::connected)
    return {explain(endpoint.attempt, where, instance), {}};
  if (endpoint.wants_token) fill_token(command, where, instance);
  if (auto refusal = refuse_other_owner(where, instance, endpoint, command.verb, bool(owner_notice())))
    return {*refusal, {}};
  tell_owner(endpoint, where);
  Connection connection(std::move(endpoint.attempt.fd), deadline);
  const auto sent = connection.send(protocol::to_line(command));
  if (sent == Connection::IoResult::timed_out)
    return {explain(sent, connection, endpoint, command, where), {}};
  Reply reply = await(connection, endpoint, command, where, event);
  if (endpoint.wants_token)
    reply.outcome = explain_token_refusal(where, instance, reply.line, std::move(reply.outcome));
  reply.outcome.text = completed(reply.outcome.text, options_of(where));
  return reply;
}

}  // namespace liveswap::client
