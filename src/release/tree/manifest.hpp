#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "release/tree/entry.hpp"

namespace liveswap::release {

// The manifest of a tree names all its entries, one a line, sorted by bytes. The id of the release is the
// SHA-256 of the manifest. Paths begin with "./" and have no line breaks.
//
//   d 555 .                              a directory: permissions, path
//   f 444 <SHA-256>  ./lib/app.js        a file: permissions, hash of the content, path
//   l ./bin/run//../lib/app.js           a symbolic link: path, //, target. No path contains //
//
// So a person can compute the id (docs/reference/releases.md):
//
//   cd releases/<id>/app && export LC_ALL=C && {
//     find . -type d -printf 'd %m %p\n'
//     find . -type l -printf 'l %p//%l\n'
//     for mode in 400 440 444 500 550 555; do
//       find . -type f -perm $mode -exec sha256sum -z {} + | tr '\0' '\n' | sed "s/^/f $mode /"
//     done
//   } | sort | sha256sum
//
// Kept in the release's directory, to name what differs.

// `entries`: all files hashed. Pure.
std::string manifest_of(const std::vector<TreeEntry>& entries);

// How a tree differs from its manifest: paths relative to the tree, "" the tree itself.
struct Differences {
  std::vector<std::string> missing, added, changed;
  bool only_added() const { return missing.empty() && changed.empty() && !added.empty(); }
  // "missing: a, b and 3 more; changed: c"
  std::string text() const;
};
// Both are manifests; lines of another form are left out. Pure.
Differences differences(std::string_view expected, std::string_view found);

// The path of the release's manifest. `directory`: of the release.
std::string manifest_path(const std::string& directory);

// The text with bytes that a terminal would obey as \xNN. Pure.
std::string printable(std::string_view text);

}  // namespace liveswap::release
