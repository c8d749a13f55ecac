#include "release/runtime_record.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <cerrno>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/file.hpp"
#include "base/unique_fd.hpp"
#include "json/fields.hpp"
#include "json/parse.hpp"
#include "release/sha256.hpp"

namespace liveswap::release {
namespace {

constexpr std::string_view runtime_suffix = ".runtime";
constexpr std::size_t runtime_record_limit = 16 * 1024;

std::string runtime_path(const std::string& directory) { return directory + std::string(runtime_suffix); }

Result<std::string> hash_of_program(const std::string& path) {
  const auto file = UniqueFd::adopt(::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
  if (!file) return os_fail("open", path, errno);
  return sha256_of_file(file.get(), path);
}

// A file with the same stamp is not hashed again. Empty: unknown.
std::string runtime_stamp(const std::string& path) {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) return "";
  return fmt::format("{}:{} {} {}.{} {}.{}", info.st_dev, info.st_ino, info.st_size, info.st_mtim.tv_sec,
                     info.st_mtim.tv_nsec, info.st_ctim.tv_sec, info.st_ctim.tv_nsec);
}

std::string runtime_text(const RuntimeRecord& runtime) {
  return fmt::format("{} ({}{}SHA-256 {})", runtime.path, runtime.version,
                     runtime.version.empty() ? "" : ", ", runtime.sha256.substr(0, 12));
}

// The hash that a record of another release has for the same, unchanged file: a runtime may have 100 MB.
// Empty: none.
std::string known_hash(const std::string& directory, const RuntimeRecord& wanted) {
  if (wanted.stamp.empty()) return "";
  std::error_code failed;
  std::filesystem::directory_iterator entry(std::filesystem::path(directory).parent_path(), failed), end;
  for (; !failed && entry != end; entry.increment(failed)) {
    const std::string path = entry->path();
    if (!path.ends_with(runtime_suffix)) continue;
    const auto known = recorded_runtime(path.substr(0, path.size() - runtime_suffix.size()));
    if (known && known->path == wanted.path && known->stamp == wanted.stamp) return known->sha256;
  }
  return "";
}

}  // namespace

Result<RuntimeRecord> record_runtime(const std::string& directory, RuntimeRecord found) {
  found.stamp = runtime_stamp(found.path);
  auto hash = Result<std::string>(known_hash(directory, found));
  if (hash->empty()) hash = hash_of_program(found.path);
  if (!hash) return tl::unexpected<Error>(hash.error());
  found.sha256 = std::move(*hash);
  const nlohmann::json record{
      {"path", found.path}, {"version", found.version}, {"sha256", found.sha256}, {"stamp", found.stamp}};
  const auto text = record.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
  if (auto written = replace_file(runtime_path(directory), text, 0600); !written)
    return tl::unexpected<Error>(written.error());
  return found;
}

std::optional<RuntimeRecord> recorded_runtime(const std::string& directory) {
  const auto text = read_small_file(runtime_path(directory), runtime_record_limit, Links::refused);
  if (!text) return std::nullopt;
  const auto record = json::parse_or_null(*text);
  RuntimeRecord found{json::text_or_empty(record, "path"), json::text_or_empty(record, "version"),
                      json::text_or_empty(record, "sha256"), json::text_or_empty(record, "stamp")};
  return found.path.empty() || found.sha256.empty() ? std::nullopt : std::optional(found);
}

std::string runtime_difference(const RuntimeRecord& then, const std::string& now) {
  std::error_code failed;
  if (!now.empty() && now != then.path && !std::filesystem::equivalent(now, then.path, failed))
    return fmt::format("it was prepared with the runtime {}, and {} runs it now", runtime_text(then), now);
  if (!then.stamp.empty() && then.stamp == runtime_stamp(then.path)) return "";
  const auto hash = hash_of_program(then.path);
  if (hash && *hash == then.sha256) return "";
  return fmt::format("it was prepared with the runtime {}, which {}", runtime_text(then),
                     hash ? fmt::format("is another file now (SHA-256 {})", hash->substr(0, 12))
                          : "cannot be read now: " + hash.error().text);
}

std::string release_of_runtime(std::string_view name) {
  if (!name.ends_with(runtime_suffix)) return {};
  name.remove_suffix(runtime_suffix.size());
  return is_id(name) ? std::string(name) : "";
}

}  // namespace liveswap::release
