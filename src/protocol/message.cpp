#include "protocol/message.hpp"

#include <fmt/format.h>

#include <array>
#include <nlohmann/json.hpp>
#include <optional>

namespace liveswap::protocol {
namespace {

constexpr std::array verbs{Verb::upgrade, Verb::kill,  Verb::die,   Verb::stop,
                           Verb::message, Verb::forks, Verb::status};

std::optional<Verb> verb_of(std::string_view text) {
  for (const Verb verb : verbs)
    if (text == word(verb)) return verb;
  return std::nullopt;
}

std::string line_of(const Json& object) {
  return object.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

// A member that must be a string when it is there; null counts as absent, as the original's client may send it.
Result<std::string> text_member(const Json& object, const char* name) {
  const auto it = object.find(name);
  if (it == object.end() || it->is_null()) return std::string();
  if (!it->is_string()) return fail(fmt::format("\"{}\" is {}, expected a string", name, it->type_name()));
  auto text = it->get<std::string>();
  if (text.find('\0') != std::string::npos) return fail(fmt::format("\"{}\" contains a NUL byte", name));
  return text;
}

Result<std::string> value_member(const Json& object, Verb verb) {
  const auto it = object.find("value");
  if (verb == Verb::forks && it != object.end() && it->is_number_unsigned())
    return std::to_string(it->get<std::uint64_t>());
  return text_member(object, "value");
}

Result<Command> check(Command command) {
  if (command.verb == Verb::message && command.value.empty())
    return fail("a message needs a \"value\" that is not empty");
  if (!command.cwd.empty() && command.cwd.front() != '/')
    return fail(fmt::format("\"cwd\" is {}, expected an absolute path", command.cwd));
  return command;
}

}  // namespace

const char* word(Verb verb) {
  switch (verb) {
    case Verb::upgrade: return "upgrade";
    case Verb::kill: return "kill";
    case Verb::die: return "die";
    case Verb::stop: return "stop";
    case Verb::message: return "message";
    case Verb::forks: return "forks";
    case Verb::status: return "status";
  }
  return "?";
}

const char* word(Refusal refusal) {
  switch (refusal) {
    case Refusal::failed: return "failed";
    case Refusal::usage: return "usage";
    case Refusal::refused: return "refused";
    case Refusal::reverted: return "reverted";
    case Refusal::timed_out: return "timed_out";
  }
  return "?";
}

Result<Command> parse_command(std::string_view line) {
  if (line.empty() || line.front() != '{') return fail("expected a JSON object, one a line");
  const Json object = Json::parse(line, nullptr, false);
  if (!object.is_object()) return fail("the line is not valid JSON, expected an object");

  const auto cmd = object.find("cmd");
  if (cmd == object.end() || !cmd->is_string()) return fail("the object has no \"cmd\" that is a string");
  const auto verb = verb_of(cmd->get_ref<const std::string&>());
  if (!verb) return fail("unknown command, expected upgrade, kill, die, stop, message, forks or status");

  Command command;
  command.verb = *verb;
  const auto value = value_member(object, *verb);
  const auto token = text_member(object, "token");
  const auto cwd = text_member(object, "cwd");
  for (const auto* member : {&value, &token, &cwd})
    if (!*member) return tl::unexpected<Error>(member->error());
  command.value = *value;
  command.token = *token;
  command.cwd = *cwd;
  if (const auto detach = object.find("detach"); detach != object.end()) {
    if (!detach->is_boolean()) return fail("\"detach\" is not true or false");
    command.detach = detach->get<bool>();
  }
  return check(std::move(command));
}

std::string to_line(const Command& command) {
  Json object{{"cmd", word(command.verb)}, {"value", command.value}};
  if (!command.token.empty()) object["token"] = command.token;
  if (!command.cwd.empty()) object["cwd"] = command.cwd;
  if (command.detach) object["detach"] = true;
  return line_of(object);
}

std::string ok_line(std::string_view verb_text, const Json& members) {
  Json object = members.is_object() ? members : Json::object();
  object["cmd"] = verb_text;
  object["value"] = "OK";
  return line_of(object);
}

std::string error_line(std::string_view verb_text, Refusal refusal, std::string_view text) {
  return line_of(Json{{"cmd", verb_text}, {"error", text}, {"status", word(refusal)}});
}

std::string event_line(std::string_view event, const Json& members) {
  Json object = members.is_object() ? members : Json::object();
  object["event"] = event;
  return line_of(object);
}

}  // namespace liveswap::protocol
