#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "release/elf.hpp"
#include "release/source.hpp"

namespace liveswap::release {

// A library and its private ones: what makes up a release.

// One file of it. `name` is relative to the directory of the first, which has no directory in its name.
struct Member {
  std::string name;
  std::string hash;  // SHA-256
};

struct Content {
  std::string hash;
  std::optional<Needs> needs;
};

// What is done with each file: copied, or only read. Told its name in the release.
using Visit = std::function<Result<Content>(const Source&, const std::string& name)>;

// The library at `path` (absolute) first, then those that it needs privately, and those that these need.
// Those beside it are opened from one directory that is looked up once: a link above it that is changed
// meanwhile makes no mixture. Those elsewhere are opened by their paths, and named `.needed/<name>`
// (private_libraries.hpp).
Result<std::vector<Member>> visit_family(const std::string& path, const Trust& trust, const Visit& visit);

// The id of a release. One file: the SHA-256 of its content. Several: that of a text like sha256sum's, with
// the first file on the first line and the others in the order of their names:
//
//   cd releases/<id> && sha256sum libapp.so libprivate.so sub/libother.so | sha256sum
std::string id_of(const std::vector<Member>& members);

// The members of the library at `path`, each hashed. Copies nothing.
Result<std::vector<Member>> members_of(const std::string& path);

// The id that the library at `path` has or would have. Copies nothing.
Result<std::string> identify(const std::string& path);

// The last component of a path.
std::string base_name(const std::string& path);

}  // namespace liveswap::release
