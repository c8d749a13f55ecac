#include <fmt/format.h>

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

std::string text_of(const Amount& amount) {
  return fmt::format("{}{}", amount.value, amount.percent ? "%" : "");
}
std::string text_of(Milliseconds time) { return fmt::format("{}ms", time.count()); }
std::string text_of(unsigned number) { return std::to_string(number); }
std::string text_of(bool wanted) { return wanted ? "true" : "false"; }

std::map<std::string, std::string> texts_of(const UpgradeWishes& wishes) {
  std::map<std::string, std::string> texts;
  const auto add = [&](const char* name, const auto& wish) {
    if (wish) texts[name] = text_of(*wish);
  };
  add("canary", wishes.canary);
  add("bake", wishes.bake);
  add("probation", wishes.probation);
  add("batch", wishes.batch);
  if (wishes.batch == 0U) texts["batch"] = "auto";
  add("surge", wishes.surge);
  add("flip", wishes.flip);
  if (wishes.queue) texts["queue"] = text_of(true);
  return texts;
}

}  // namespace

Outcome Client::upgrade(const std::string& path, const Event& event) {
  return upgrade(path, UpgradeWishes{}, event);
}

Outcome Client::upgrade(const std::string& path, const UpgradeWishes& wishes, const Event& event) {
  protocol::Command command;
  command.verb = protocol::Verb::upgrade;
  // The working directory of the master may differ.
  if (!path.empty()) command.value = absolute_path(path, current_directory());
  command.detach = wishes.detach;
  command.wishes = texts_of(wishes);
  return client::exchange(where_, std::move(command), event).outcome;
}

Outcome Client::rollback(const std::string& to, const Event& event) {
  protocol::Command command;
  command.verb = protocol::Verb::rollback;
  command.value = to;
  return client::exchange(where_, std::move(command), event).outcome;
}

Outcome Client::promote() { return tell(where_, protocol::Verb::promote); }
Outcome Client::abort() { return tell(where_, protocol::Verb::abort); }

Outcome Client::kill() { return tell(where_, protocol::Verb::kill); }
Outcome Client::die() { return tell(where_, protocol::Verb::die); }
Outcome Client::stop() { return tell(where_, protocol::Verb::stop); }
Outcome Client::status() { return tell(where_, protocol::Verb::status); }

Outcome Client::history(unsigned newest) {
  return tell(where_, protocol::Verb::history, std::to_string(newest));
}

Outcome Client::receipt(std::optional<std::uint64_t> number) {
  return tell(where_, protocol::Verb::receipt, number ? std::to_string(*number) : "");
}

Outcome Client::forks(unsigned count) {
  return tell(where_, protocol::Verb::forks, count == 0 ? "auto" : std::to_string(count));
}

Outcome Client::reload(bool dry_run, const Event& event) {
  protocol::Command command;
  command.verb = protocol::Verb::reload;
  if (dry_run) command.wishes["dry_run"] = text_of(true);
  return client::exchange(where_, std::move(command), event).outcome;
}

Outcome Client::reexec(const std::string& program, Milliseconds wait) {
  protocol::Command command;
  command.verb = protocol::Verb::reexec;
  if (!program.empty()) command.value = absolute_path(program, current_directory());
  command.wishes["wait"] = text_of(wait);
  return client::exchange(where_, std::move(command), {}).outcome;
}

Outcome Client::message(const std::string& text) { return tell(where_, protocol::Verb::message, text); }

Outcome Client::request(const std::string& json, const Event& event) {
  auto command = protocol::parse_command(json);
  if (!command) return {usage, command.error().text};
  auto reply = client::exchange(where_, std::move(*command), event);
  if (reply.outcome.status == ok) reply.outcome.text = reply.line;
  return reply.outcome;
}

}  // namespace liveswap
