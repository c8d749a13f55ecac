#include "release/tree/known_files.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <iterator>

#include "base/file.hpp"
#include "release/sha256.hpp"

namespace liveswap::release {
namespace {

// About 300,000 files.
constexpr std::size_t known_text_limit = std::size_t{48} << 20;
constexpr std::size_t hash_digits = 64;

std::string hashes_path(const std::string& releases) { return releases + "/.hashes"; }

// Reads a number and the character behind it; '\0': the end of the line.
template <class Number>
bool take_number(std::string_view& line, Number& number, char behind) {
  const auto [end, failed] = std::from_chars(line.data(), line.data() + line.size(), number);
  const auto length = static_cast<std::size_t>(end - line.data());
  const bool is_last = length == line.size();
  if (failed != std::errc() || is_last != (behind == '\0') || (!is_last && line[length] != behind))
    return false;
  line.remove_prefix(is_last ? length : length + 1);
  return true;
}

}  // namespace

KnownFiles KnownFiles::of(const std::string& releases) {
  const auto text = read_small_file(hashes_path(releases), known_text_limit, Links::refused);
  return text ? parse(*text) : KnownFiles();
}

KnownFiles::Known KnownFiles::known(const Stamp& stamp, const std::string& hash) {
  return {stamp.size, stamp.modified, stamp.changed, hash};
}

std::string KnownFiles::hash_of(const Stamp& stamp) const {
  const auto it = files_.find({stamp.device, stamp.inode});
  return it != files_.end() && it->second == known(stamp, it->second.hash) ? it->second.hash : "";
}

void KnownFiles::add(const Stamp& stamp, const std::string& hash) {
  const Key key{stamp.device, stamp.inode};
  const auto fresh = known(stamp, hash);
  auto& there = files_[key];
  if (there == fresh) return;
  there = fresh;
  news_[key] = fresh;
}

void KnownFiles::renew(const Stamp& before, const Stamp& now) {
  const auto hash = hash_of(before);
  Stamp expected = before;
  expected.changed = now.changed;
  if (!hash.empty() && expected == now) add(now, hash);
}

void KnownFiles::forget(const Stamp& stamp) {
  const Key key{stamp.device, stamp.inode};
  if (files_.erase(key) > 0) news_[key] = {};
}

void KnownFiles::keep_for(const std::string& releases) const {
  if (news_.empty()) return;
  KnownFiles all = of(releases);
  for (const auto& [key, one] : news_) {
    if (one.hash.empty()) all.files_.erase(key);
    else all.files_[key] = one;
  }
  auto text = all.text();
  // Those of this run are the ones that are needed next.
  if (text.size() > known_text_limit) {
    all.files_ = news_;
    text = all.text();
  }
  if (text.size() > known_text_limit) return;
  [[maybe_unused]] const auto kept = replace_file(hashes_path(releases), text, 0600);
}

KnownFiles KnownFiles::parse(std::string_view text) {
  KnownFiles found;
  while (!text.empty()) {
    auto line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    if (line.size() <= hash_digits || line[hash_digits] != ' ' || !is_id(line.substr(0, hash_digits)))
      continue;
    Known one;
    one.hash = line.substr(0, hash_digits);
    line.remove_prefix(hash_digits + 1);
    Key key;
    if (take_number(line, key.first, ':') && take_number(line, key.second, ' ') &&
        take_number(line, one.size, ' ') && take_number(line, one.modified, ' ') &&
        take_number(line, one.changed, '\0'))
      found.files_[key] = std::move(one);
  }
  return found;
}

std::string KnownFiles::text() const {
  fmt::memory_buffer text;
  for (const auto& [key, one] : files_)
    if (!one.hash.empty())
      fmt::format_to(std::back_inserter(text), "{} {}:{} {} {} {}\n", one.hash, key.first, key.second,
                     one.size, one.modified, one.changed);
  return fmt::to_string(text);
}

}  // namespace liveswap::release
