#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "release/needs.hpp"
#include "release/source.hpp"

namespace liveswap::release {

// The files of a release: a library and the private libraries that it needs.

// `name`: path relative to the directory of the library.
struct Member {
  std::string name;
  std::string hash;  // SHA-256
};

struct Content {
  std::string hash;
  std::optional<Needs> needs;
};

// Called for each file with its name in the release: copies or only hashes it.
using Visit = std::function<Result<Content>(const Source&, const std::string& name)>;

// An error: `path` is not absolute, has no last component, or has a line break. Pure.
Result<void> check_path(const std::string& path);

// Visits the library at the absolute `path`, then its private libraries, breadth first. The directory of the
// library is opened once, so a symbolic link that changes meanwhile cannot mix two versions. Libraries from
// other directories are named `.needed/<name>` (private_libraries.hpp).
Result<std::vector<Member>> visit_family(const std::string& path, const Trust& trust, const Visit& visit);

// The id of a release: for one file the SHA-256 of its content; for several, of a sha256sum listing with the
// library first and the others sorted by name:
//
//   cd releases/<id> && sha256sum libapp.so libprivate.so sub/libother.so | sha256sum
std::string id_of(const std::vector<Member>& members);

// The files of the release for the library at `path`, hashed. Copies nothing.
Result<std::vector<Member>> members_of(const std::string& path);

// The id that take() would give the library or directory at `path`. Copies nothing.
Result<std::string> identify(const std::string& path);

// The last component of a path.
std::string base_name(const std::string& path);

}  // namespace liveswap::release
