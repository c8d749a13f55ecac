#include "base/file.hpp"
#include "client/exchange.hpp"
#include "liveswap.hpp"

namespace liveswap {
namespace {

Outcome tell(const Client::Where& where, protocol::Verb verb, std::string value = {}) {
  protocol::Command command;
  command.verb = verb;
  command.value = std::move(value);
  return client::exchange(where, std::move(command), {}).outcome;
}

}  // namespace

Outcome Client::upgrade(const std::string& path, const Event& event) {
  protocol::Command command;
  command.verb = protocol::Verb::upgrade;
  // The master may have another working directory.
  if (!path.empty()) command.value = absolute_path(path, current_directory());
  return client::exchange(where_, std::move(command), event).outcome;
}

Outcome Client::kill() { return tell(where_, protocol::Verb::kill); }
Outcome Client::die() { return tell(where_, protocol::Verb::die); }
Outcome Client::stop() { return tell(where_, protocol::Verb::stop); }
Outcome Client::status() { return tell(where_, protocol::Verb::status); }

Outcome Client::forks(unsigned count) { return tell(where_, protocol::Verb::forks, std::to_string(count)); }

Outcome Client::message(const std::string& text) { return tell(where_, protocol::Verb::message, text); }

Outcome Client::request(const std::string& json, const Event& event) {
  auto command = protocol::parse_command(json);
  if (!command) return {usage, command.error().text};
  auto reply = client::exchange(where_, std::move(*command), event);
  if (reply.outcome.status == ok) reply.outcome.text = reply.line;
  return reply.outcome;
}

}  // namespace liveswap
