#include "release/committed.hpp"

#include <unistd.h>

#include <cerrno>

#include "base/file.hpp"
#include "base/log.hpp"
#include "release/family.hpp"
#include "release/head.hpp"
#include "release/sha256.hpp"

namespace liveswap::release {
namespace {

constexpr std::size_t path_limit = 4096;
constexpr std::size_t record_limit = std::size_t{2} * (64 + 2 + path_limit + 1);
constexpr std::size_t hash_length = 64;

std::string record_file(const std::string& state_dir) { return state_dir + "/committed"; }

std::string line_of(const Committed& committed) { return committed.id + "  " + committed.path + "\n"; }

std::vector<Committed> read_record(const std::string& state_dir) {
  const std::string file = record_file(state_dir);
  if (::access(file.c_str(), F_OK) != 0 && errno == ENOENT) return {};
  const auto text = read_small_file(file, record_limit);
  const auto found =
      text ? parse_record(*text, file) : Result<std::vector<Committed>>(tl::unexpected<Error>(text.error()));
  if (found) return *found;
  log::warning("{}; which release is committed is not known, only its path", found.error().text);
  return {};
}

Result<void> check(const Committed& committed) {
  if (is_committable(committed)) return {};
  if (!is_id(committed.id))
    return fail("cannot commit \"" + committed.id + "\": expected the id of a release, 64 hex digits");
  return fail("cannot commit \"" + committed.path +
              "\": expected an absolute path of a file, without a line break");
}

}  // namespace

bool is_committable(const Committed& committed) {
  const std::string& path = committed.path;
  if (!is_id(committed.id) || path.empty() || path.front() != '/' || path.size() > path_limit) return false;
  if (path.find_first_of(std::string("\n\0", 2)) != std::string::npos) return false;
  const std::string name = base_name(path);
  return !name.empty() && name != "." && name != "..";
}

Result<std::vector<Committed>> parse_record(const std::string& text, const std::string& file) {
  std::vector<Committed> found;
  for (std::size_t begin = 0; begin < text.size();) {
    const auto end = text.find('\n', begin);
    const std::string line = text.substr(begin, end == std::string::npos ? end : end - begin);
    if (end == std::string::npos || line.size() < hash_length + 3 || !is_id(line.substr(0, hash_length)) ||
        line.substr(hash_length, 3) != "  /" || line.find('\0') != std::string::npos)
      return fail("the record " + file + " is damaged: found the line \"" + line +
                  "\", expected 64 hex digits, two spaces and an absolute path");
    found.push_back({line.substr(hash_length + 2), line.substr(0, hash_length)});
    begin = end + 1;
  }
  return found;
}

Result<void> commit(const std::string& head_file, const std::string& state_dir, const Committed& committed) {
  if (auto checked = check(committed); !checked) return checked;
  const auto head = read_head(head_file);
  const auto before = head ? read_committed(head_file, state_dir) : Result<Committed>(Committed{});
  // A restart commits the same release again: writes nothing, so nothing can fail.
  if (before && before->path == committed.path && before->id == committed.id &&
      newest_record(state_dir).id == committed.id)
    return {};
  std::string record = line_of(committed);
  if (before && !before->id.empty()) record += line_of(*before);
  if (auto written = replace_file(record_file(state_dir), record, 0644); !written)
    return fail("cannot record the release " + committed.id + ": " + written.error().text);
  // HEAD already names this path, so the record alone decides.
  if (head && *head == committed.path) return {};
  return write_head(head_file, committed.path);
}

Committed newest_record(const std::string& state_dir) {
  const auto found = read_record(state_dir);
  return found.empty() ? Committed{} : found.front();
}

Result<Committed> read_committed(const std::string& head_file, const std::string& state_dir) {
  const auto head = read_head(head_file);
  if (!head) return tl::unexpected<Error>(head.error());
  for (const auto& known : read_record(state_dir))
    if (known.path == *head) return known;
  return Committed{*head, ""};
}

}  // namespace liveswap::release
