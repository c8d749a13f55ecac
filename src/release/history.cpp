#include "release/history.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <filesystem>
#include <set>
#include <system_error>

#include "base/file.hpp"
#include "base/log.hpp"
#include "json/fields.hpp"
#include "json/parse.hpp"
#include "release/disk.hpp"
#include "release/recorder.hpp"
#include "release/sha256.hpp"

namespace liveswap::release {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t receipt_limit = std::size_t{16} << 20;
// Stricter than for answers, which nest a receipt some levels deeper.
constexpr json::Bounds bounds{32, 500'000};
constexpr std::string_view suffix = ".json";
constexpr std::string_view refused_suffix = ".refused.json";

constexpr std::size_t names_limit = 10'000;
constexpr std::size_t reads_limit = History::kept + History::refused_kept;

// More receipts than any master writes. A file with a larger number is ignored: reserve() would otherwise
// take the numbers after it, and run out of them.
constexpr std::uint64_t number_limit = 1'000'000'000;

// Limit of the numbers that reserve() tries. The number after the newest receipt is free, unless entries()
// has not seen all files because of `names_limit`.
constexpr std::uint64_t tries_limit = 1'000;

std::vector<std::string> receipt_names(const std::string& directory) {
  std::vector<std::string> names;
  std::error_code failed;
  fs::directory_iterator entry(directory, failed), end;
  for (; !failed && entry != end && names.size() < names_limit; entry.increment(failed))
    names.push_back(entry->path().filename().string());
  if (names.size() == names_limit)
    log::warning("{} has {} names or more: only so many are looked at", directory, names_limit);
  return names;
}

std::size_t size_of(const nlohmann::json& document) {
  return document.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace).size();
}

struct LeftOut {
  std::size_t damaged = 0, beyond = 0, unread = 0;

  std::size_t count() const { return damaged + beyond + unread; }
  std::string text() const;
};

std::string LeftOut::text() const {
  std::vector<std::string> parts;
  if (damaged > 0) parts.push_back(fmt::format("{} damaged", damaged));
  if (beyond > 0)
    parts.push_back(fmt::format("{} older than those that fill {} MiB", beyond, History::list_bytes >> 20));
  if (unread > 0)
    parts.push_back(fmt::format("{} older than those that could be read within {} s", unread,
                                History::list_time.count()));
  return fmt::format("{}", fmt::join(parts, ", "));
}

}  // namespace

std::optional<Committed> went_to(const nlohmann::json& receipt) {
  const auto& release = json::member(receipt, "to");
  if (json::text(receipt, "outcome") != "ok") return std::nullopt;
  Committed to{json::text_or_empty(release, "path"), json::text_or_empty(release, "id")};
  return is_committable(to) ? std::optional(to) : std::nullopt;
}

History::History(std::string state_dir, Clock clock)
    : directory_(std::move(state_dir) + "/history"), clock_(std::move(clock)) {}

// Accepts "17.json" and "17.refused.json", but not "017.json", "17.json.Xa81fE" or foreign names.
std::optional<History::Entry> History::entry_of(const std::string& name) {
  const bool refused = name.ends_with(refused_suffix);
  const auto ending = refused ? refused_suffix : suffix;
  if (!name.ends_with(ending) || name.front() == '0') return std::nullopt;
  const char* end = name.data() + name.size() - ending.size();
  std::uint64_t number = 0;
  const auto [stopped, error] = std::from_chars(name.data(), end, number);
  if (error != std::errc{} || stopped != end || number >= number_limit) return std::nullopt;
  return Entry{number, refused};
}

// A temporary file of a killed replace_file(): "17.json.Xa81fE".
bool History::is_left_over(const std::string& name) {
  constexpr std::size_t random = 7;
  return name.size() > random && name[name.size() - random] == '.' &&
         entry_of(name.substr(0, name.size() - random));
}

std::string History::file(const Entry& entry) const {
  return directory_ + "/" + std::to_string(entry.number) +
         std::string(entry.refused ? refused_suffix : suffix);
}

// Ascending, by file names alone: a damaged receipt keeps its number.
std::vector<History::Entry> History::entries() const {
  std::vector<Entry> found;
  for (const auto& name : receipt_names(directory_))
    if (const auto entry = entry_of(name)) found.push_back(*entry);
  std::sort(found.begin(), found.end(), [](const Entry& a, const Entry& b) { return a.number < b.number; });
  return found;
}

bool History::has(std::uint64_t number) const {
  return ::access(file({number, false}).c_str(), F_OK) == 0 ||
         ::access(file({number, true}).c_str(), F_OK) == 0;
}

Result<std::uint64_t> History::reserve() {
  if (auto made = make_directory(directory_, 0700); !made) return tl::unexpected<Error>(made.error());
  const auto before = entries();
  std::uint64_t number = std::max(next_, before.empty() ? 1 : before.back().number + 1);
  for (const auto last = number + tries_limit; has(number) && number < last;) ++number;
  if (number >= number_limit || has(number))
    return fail("cannot write the receipt " + std::to_string(number) +
                ": the numbers are used up: remove the files with the highest ones from " + directory_);
  next_ = number + 1;
  return number;
}

void History::adopt(std::uint64_t reserved) {
  if (reserved < number_limit) next_ = std::max(next_, reserved + 1);
}

Result<std::uint64_t> History::add(Json receipt, std::uint64_t reserved) {
  if (!receipt.is_object())
    return fail("cannot add to the history: expected a JSON object, found " +
                std::string(receipt.type_name()));
  if (auto made = make_directory(directory_, 0700); !made) return tl::unexpected<Error>(made.error());
  const bool is_free = reserved > 0 && reserved < number_limit && !has(reserved);
  auto number = is_free ? Result<std::uint64_t>(reserved) : reserve();
  if (!number) return number;
  receipt["number"] = *number;
  const Entry entry{*number, json::text(receipt, "outcome") == "refused"};
  const std::string text = receipt.dump(1, ' ', false, Json::error_handler_t::replace) + "\n";
  if (auto written = replace_file(file(entry), text, 0600); !written)
    return fail("cannot write the receipt " + std::to_string(*number) + ": " + written.error().text);
  return number;
}

void History::prune() const {
  for (const auto& name : receipt_names(directory_))
    if (is_left_over(name)) ::unlink((directory_ + "/" + name).c_str());
  const auto all = entries();
  std::size_t upgrades = 0, refused = 0, stayed = 0;
  std::string why;
  for (auto entry = all.rbegin(); entry != all.rend(); ++entry) {
    if (entry->refused ? ++refused <= refused_kept : ++upgrades <= kept) continue;
    if (::unlink(file(*entry).c_str()) == 0) continue;
    if (++stayed == 1) why = os_error("remove the old receipt", file(*entry), errno).text;
  }
  if (stayed > 0) log::warning("{} old receipts stay: {}", stayed, why);
}

Result<History::Json> History::read(const Entry& entry) const {
  const auto text = read_small_file(file(entry), receipt_limit, Links::refused);
  if (!text) return tl::unexpected<Error>(text.error());
  return parse(*text, entry.number, file(entry));
}

Result<History::Json> History::parse(std::string_view text, std::uint64_t number, const std::string& file) {
  auto receipt = json::parse(text, bounds);
  const std::string damaged = "the receipt " + file + " is damaged: ";
  if (!receipt) return fail(damaged + "it is " + receipt.error().text);
  if (json::member(*receipt, "number") != number)
    return fail(damaged + "expected a JSON object with \"number\": " + std::to_string(number));
  return receipt;
}

Result<History::Json> History::newest(const std::vector<Entry>& known) const {
  std::size_t reads = 0;
  for (auto entry = known.rbegin(); entry != known.rend() && reads < reads_limit; ++entry, ++reads)
    if (auto receipt = read(*entry)) return receipt;
  return fail("there is no receipt in " + directory_ +
              (reads > 0 ? " that can be read: " + std::to_string(reads) + " are damaged"
                         : ": nothing has been upgraded yet"));
}

Result<History::Json> History::receipt(std::optional<std::uint64_t> number) const {
  const auto known = entries();
  if (!number) return newest(known);
  const auto found =
      std::find_if(known.begin(), known.end(), [&](const Entry& one) { return one.number == *number; });
  if (found != known.end()) return read(*found);
  return fail("there is no receipt " + std::to_string(*number) + ": " +
              (known.empty() ? "the history is empty"
                             : "found " + std::to_string(known.front().number) + " to " +
                                   std::to_string(known.back().number)));
}

// Receipts beyond a limit are only counted, by file name; some of them may be damaged.
History::Listed History::list(std::size_t newest) const {
  const auto until = clock_() + list_time;
  const auto known = entries();
  std::vector<Json> found;  // newest first
  LeftOut left_out;
  std::size_t upgrades = 0, refused = 0, reads = 0, bytes = 0;
  for (auto entry = known.rbegin(); entry != known.rend() && upgrades < newest && reads < reads_limit;
       ++entry, ++reads) {
    auto& count = entry->refused ? refused : upgrades;
    if (count >= newest) continue;
    if (bytes > list_bytes) {
      ++left_out.beyond;
    } else if (clock_() >= until) {
      ++left_out.unread;
    } else if (const auto receipt = read(*entry)) {
      found.push_back(summary_of(*receipt));
      bytes += size_of(found.back());
    } else {
      ++left_out.damaged;
      continue;  // does not count toward `newest`
    }
    ++count;
  }
  if (bytes > list_bytes) {
    found.pop_back();
    ++left_out.beyond;
  }
  std::reverse(found.begin(), found.end());
  return {std::move(found), left_out.count(), left_out.text()};
}

History::Past History::past(std::size_t k, const std::vector<std::string>& but) const {
  Past found;
  if (k == 0) return found;
  std::set<std::string> later;  // ids of the targets of newer receipts
  const auto known = entries();
  std::set<std::string> seen(but.begin(), but.end());
  std::size_t reads = 0;
  for (auto entry = known.rbegin();
       entry != known.rend() && found.committed.size() < k && reads < reads_limit; ++entry) {
    if (entry->refused) continue;
    ++reads;
    const auto receipt = read(*entry);
    const auto to = receipt ? went_to(*receipt) : std::nullopt;
    if (!to) continue;
    // Receipts are read newest first: a rollback comes before the commit of the release that was left.
    const auto from = json::text_or_empty(json::member(*receipt, "from"), "id");
    if (json::text(*receipt, "kind") == "rollback" && from != to->id && !later.contains(from))
      found.left.insert(from);
    later.insert(to->id);
    if (seen.insert(to->id).second) found.committed.push_back(*to);
  }
  return found;
}

std::vector<Committed> History::committed(std::size_t k, const std::vector<std::string>& but) const {
  return past(k, but).committed;
}

}  // namespace liveswap::release
