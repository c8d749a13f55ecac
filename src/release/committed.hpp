#pragma once

#include <string>
#include <vector>

#include "base/error.hpp"

namespace liveswap::release {

// The committed release. HEAD contains the path that the upgrade command gave. The file at that path may
// change later. So the record (`committed` in the state directory, lines as from sha256sum, newest first) has
// the id of the release that was taken from it.
struct Committed {
  std::string path;
  std::string id;  // empty: not in a record
};

// Whether commit() accepts the values: a release id, and an absolute path to a file, at most 4,096 bytes,
// without NUL and line breaks. Pure.
bool is_committable(const Committed& committed);

// Makes a release the committed one. Writes first the record, with this release and the previous one, then
// HEAD. If the process is killed in between, read_committed() returns the previous release, or this one if
// both have the same path. After an error, read_committed() returns the same as before. May block on the
// disk.
Result<void> commit(const std::string& head_file, const std::string& state_dir, const Committed& committed);

// The release for a restart: the path in HEAD, and the newest release in the record with that path. A damaged
// record counts as missing, with a warning in the log. Errors as for read_head().
Result<Committed> read_committed(const std::string& head_file, const std::string& state_dir);

// Parses a record, newest first. An error names the bad line. `file`: for errors. Pure.
Result<std::vector<Committed>> parse_record(const std::string& text, const std::string& file);

// The first release in the record, as a hint for people when HEAD is damaged. Do not start it: a master
// killed during commit() may have recorded the release without committing it. Empty: no record, or a damaged
// one.
Committed newest_record(const std::string& state_dir);

}  // namespace liveswap::release
