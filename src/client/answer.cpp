#include "client/answer.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "json/fields.hpp"
#include "json/parse.hpp"
#include "protocol/message.hpp"

namespace liveswap::client {
namespace {

using protocol::Json;
using protocol::Refusal;

// A message that reached only some of the workers is reported as a failure.
Outcome count_delivered(std::uint64_t delivered, std::uint64_t workers) {
  if (workers == 0) return {failed, "there is no worker to take the message"};
  return {delivered < workers ? failed : ok,
          fmt::format("{} of {} worker{} took the message", delivered, workers, workers == 1 ? "" : "s")};
}

Outcome outcome_of_success(const Json& object) {
  // A "receipt" that is a number belongs to the answer of an upgrade.
  for (const char* document : {"status", "history", "receipt"})
    if (const auto it = object.find(document); it != object.end() && it->is_structured())
      return {ok, it->dump()};
  const auto delivered = object.find("delivered");
  const auto workers = object.find("workers");
  if (delivered != object.end() && workers != object.end() && delivered->is_number_unsigned() &&
      workers->is_number_unsigned())
    return count_delivered(delivered->get<std::uint64_t>(), workers->get<std::uint64_t>());
  return {ok, json::text_or_empty(object, "text")};
}

}  // namespace

LineKind kind_of(std::string_view line) {
  const Json object = json::parse_or_null(line);
  if (!object.is_object()) return LineKind::foreign;
  if (object.contains("cmd")) return LineKind::answer;
  return json::member(object, "event").is_string() ? LineKind::event : LineKind::foreign;
}

Outcome outcome_of(std::string_view line) {
  const Json object = json::parse_or_null(line);
  Outcome outcome{failed, R"(the master's answer has neither "value":"OK" nor "error")"};
  if (const auto error = json::text(object, "error"))
    outcome = {status_of(json::text_or_empty(object, "status")), *error};
  else if (json::text_or_empty(object, "value") == "OK") outcome = outcome_of_success(object);
  if (const auto it = object.find("receipt"); it != object.end() && it->is_number_unsigned())
    outcome.receipt = it->get<std::uint64_t>();
  return outcome;
}

Status status_of(std::string_view word) {
  if (word == protocol::word(Refusal::usage)) return usage;
  if (word == protocol::word(Refusal::refused)) return refused;
  if (word == protocol::word(Refusal::reverted)) return reverted;
  if (word == protocol::word(Refusal::timed_out)) return timed_out;
  return failed;
}

}  // namespace liveswap::client
