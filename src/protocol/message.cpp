#include "protocol/message.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <optional>
#include <vector>

#include "json/parse.hpp"

namespace liveswap::protocol {
namespace {

constexpr std::array verbs{Verb::upgrade, Verb::rollback, Verb::promote, Verb::abort, Verb::kill,
                           Verb::die,     Verb::stop,     Verb::message, Verb::forks, Verb::reload,
                           Verb::status,  Verb::history,  Verb::receipt, Verb::reexec};

constexpr std::array<std::string_view, 5> members_of_all{"cmd", "value", "token", "cwd", "detach"};

std::optional<Verb> verb_of(std::string_view text) {
  for (const Verb verb : verbs)
    if (text == word(verb)) return verb;
  return std::nullopt;
}

std::string line_of(const Json& object) {
  return object.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

// An optional string member. null counts as missing: clients written for the original implementation of this
// protocol may send null.
Result<std::string> text_member(const Json& object, const char* name) {
  const auto it = object.find(name);
  if (it == object.end() || it->is_null()) return std::string();
  if (!it->is_string()) return fail(fmt::format("\"{}\" is {}, expected a string", name, it->type_name()));
  auto text = it->get<std::string>();
  if (text.find('\0') != std::string::npos) return fail(fmt::format("\"{}\" contains a NUL byte", name));
  return text;
}

bool takes_number(Verb verb) {
  return verb == Verb::forks || verb == Verb::rollback || verb == Verb::history || verb == Verb::receipt;
}

Result<std::string> value_member(const Json& object, Verb verb) {
  const auto it = object.find("value");
  if (takes_number(verb) && it != object.end() && it->is_number_unsigned())
    return std::to_string(it->get<std::uint64_t>());
  return text_member(object, "value");
}

// Stores the options of a request. For upgrade, rollback and reload, an unknown member is an error, because
// it may be a misspelled option. Other commands may have unknown members, as in the original implementation
// of this protocol.
Result<void> take_wishes(const Json& object, Command& command) {
  if (command.verb != Verb::upgrade && command.verb != Verb::rollback && command.verb != Verb::reload &&
      command.verb != Verb::reexec)
    return {};
  for (const auto& [name, value] : object.items()) {
    if (std::find(members_of_all.begin(), members_of_all.end(), name) != members_of_all.end()) continue;
    if (value.is_null()) continue;
    if (value.is_boolean() || value.is_number_unsigned()) {
      command.wishes[name] = value.dump();
      continue;
    }
    const auto text = text_member(object, name.c_str());
    if (!text) return tl::unexpected<Error>(text.error());
    command.wishes[name] = *text;
  }
  return {};
}

bool is_number(const std::string& text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

Result<Command> check(Command command) {
  if (command.verb == Verb::message && command.value.empty())
    return fail("a message needs a \"value\" that is not empty");
  if ((command.verb == Verb::history || command.verb == Verb::receipt) && !is_number(command.value))
    return fail(
        fmt::format("{}: found \"{}\", expected a number, or nothing", word(command.verb), command.value));
  if (!command.cwd.empty() && command.cwd.front() != '/')
    return fail(fmt::format("\"cwd\" is {}, expected an absolute path", command.cwd));
  return command;
}

}  // namespace

const char* word(Verb verb) {
  switch (verb) {
    case Verb::upgrade: return "upgrade";
    case Verb::rollback: return "rollback";
    case Verb::promote: return "promote";
    case Verb::abort: return "abort";
    case Verb::kill: return "kill";
    case Verb::die: return "die";
    case Verb::stop: return "stop";
    case Verb::message: return "message";
    case Verb::forks: return "forks";
    case Verb::reload: return "reload";
    case Verb::status: return "status";
    case Verb::history: return "history";
    case Verb::receipt: return "receipt";
    case Verb::reexec: return "reexec";
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
  const auto parsed = json::parse(line);
  if (!parsed) return fail("the line is " + parsed.error().text);
  const Json& object = *parsed;

  const auto cmd = object.find("cmd");
  if (cmd == object.end() || !cmd->is_string()) return fail("the object has no \"cmd\" that is a string");
  const auto verb = verb_of(cmd->get_ref<const std::string&>());
  if (!verb) {
    std::vector<const char*> known;
    for (const Verb one : verbs) known.push_back(word(one));
    return fail(fmt::format("unknown command, expected one of {}", fmt::join(known, ", ")));
  }

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
  if (auto taken = take_wishes(object, command); !taken) return tl::unexpected<Error>(taken.error());
  return check(std::move(command));
}

std::string to_line(const Command& command) {
  Json object{{"cmd", word(command.verb)}, {"value", command.value}};
  if (!command.token.empty()) object["token"] = command.token;
  if (!command.cwd.empty()) object["cwd"] = command.cwd;
  if (command.detach) object["detach"] = true;
  for (const auto& [name, text] : command.wishes)
    object.emplace(name, text == "true" || text == "false" ? Json(text == "true") : Json(text));
  return line_of(object);
}

std::string ok_line(std::string_view verb_text, const Json& members) {
  Json object = members.is_object() ? members : Json::object();
  object["cmd"] = verb_text;
  object["value"] = "OK";
  return line_of(object);
}

std::string error_line(std::string_view verb_text, Refusal refusal, std::string_view text) {
  return error_line(verb_text, refusal, text, Json::object());
}

std::string error_line(std::string_view verb_text, Refusal refusal, std::string_view text,
                       const Json& members) {
  Json object = members.is_object() ? members : Json::object();
  object["cmd"] = verb_text;
  object["error"] = text;
  object["status"] = word(refusal);
  return line_of(object);
}

std::string event_line(std::string_view event, const Json& members) {
  Json object = members.is_object() ? members : Json::object();
  object["event"] = event;
  return line_of(object);
}

}  // namespace liveswap::protocol
