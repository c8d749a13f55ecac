#include "release/rollback_target.hpp"

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>
#include <optional>

namespace liveswap::release {
namespace {

// Shorter than the shortest prefix of an id.
constexpr std::size_t number_length = 5;

std::optional<std::uint64_t> as_number(const std::string& text) {
  std::uint64_t number = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), number);
  const bool whole = failed == std::errc{} && end == text.data() + text.size();
  return whole && text.size() <= number_length ? std::optional(number) : std::nullopt;
}

Result<Committed> by_number(const History& history, std::uint64_t number) {
  const auto receipt = history.receipt(number);
  if (!receipt) return tl::unexpected<Error>(receipt.error());
  if (auto to = went_to(*receipt)) return *to;
  return fail("number " + std::to_string(number) +
              " of the history is no upgrade that succeeded; `liveswap history` shows those that did");
}

bool has(const std::vector<std::string>& ids, const std::string& id) {
  return std::find(ids.begin(), ids.end(), id) != ids.end();
}

Result<Committed> by_id(const History& history, const std::string& id, const RollbackQuery& query) {
  if (has(query.own, id)) return Committed{"", id};
  for (const auto& one : history.committed(query.keep, query.own))
    if (one.id == id) return one;
  return fail("release " + id + " was never committed here; upgrade to its file");
}

Result<Committed> before(const History& history, const RollbackQuery& query) {
  for (const auto& id : query.own)
    if (id != query.current) return Committed{"", id};
  const auto found = history.committed(1, {query.current});
  if (!found.empty()) return found.front();
  return fail("there is no earlier release in the history: see `liveswap history`");
}

}  // namespace

Result<Committed> find_rollback_target(const History& history, const Store& store,
                                       const RollbackQuery& query) {
  if (query.which.empty()) return before(history, query);
  if (const auto number = as_number(query.which)) return by_number(history, *number);
  const auto id = store.complete(query.which);
  if (!id) return tl::unexpected<Error>(id.error());
  return by_id(history, *id, query);
}

}  // namespace liveswap::release
