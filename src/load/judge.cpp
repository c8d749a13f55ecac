#include "load/judge.hpp"

#include <fmt/format.h>

namespace liveswap::load {
namespace {

std::string shown(std::string_view text) {
  std::string result;
  for (const char c : text.substr(0, 100))
    result +=
        c >= ' ' && c < 0x7f ? std::string(1, c) : fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
  return result;
}

std::string version_of(const Answer& answer) {
  if (!answer.version.empty()) return answer.version;
  if (answer.body.length > Body::kept) return fmt::format("{} #{:016x}", answer.status, answer.body.hash);
  std::string_view line = answer.body.start;
  line = line.substr(0, line.find_first_of("\r\n"));
  return line.empty() ? fmt::format("{}", answer.status) : fmt::format("{} {}", answer.status, shown(line));
}

}  // namespace

bool Judge::body_expected(const std::string& version, const Answer& answer, Kind kind) {
  const auto wanted = expected_.bodies.find(version);
  if (kind == Kind::rate && wanted != expected_.bodies.end()) {
    Body plain, with_line_end;
    plain.append(wanted->second);
    with_line_end.append(wanted->second + "\n");
    if (answer.body != plain && answer.body != with_line_end) return false;
  }
  if (!expected_.same_body) return true;
  return first_bodies_.try_emplace({version, answer.status, kind}, answer.body).first->second == answer.body;
}

Verdict Judge::judge(const Answer& answer, Kind kind) {
  if (!expected_.statuses.contains(answer.status))
    return failure(Outcome::wrong, fmt::format("unexpected status {}", answer.status));
  std::string version = expected_.by_status ? fmt::format("{}", answer.status) : version_of(answer);
  if (!expected_.versions.empty() && !expected_.versions.contains(version))
    return failure(Outcome::wrong, fmt::format("unexpected version {}", version));
  if (!versions_.contains(version)) {
    if (versions_.size() == most_versions)
      return failure(Outcome::wrong, "more than 1000 versions: does the server send X-Version?");
    versions_.insert(version);
  }
  if (!body_expected(version, answer, kind))
    return failure(Outcome::wrong,
                   fmt::format("unexpected body from version {} (--any-body allows it)", version));
  return {Outcome::ok, std::move(version), {}};
}

}  // namespace liveswap::load
