#pragma once

#include <string>
#include <vector>

#include "base/error.hpp"

namespace liveswap::release {

// Which release is committed: HEAD names the path that was asked for, and the record beside it in the state
// directory (`committed`, lines like sha256sum's, the newest first) says which release that path was then.
struct Committed {
  std::string path;
  std::string id;  // empty: no record knows
};

// Whether commit() takes it: the id of a release, and an absolute path of at most 4,096 bytes without NUL and
// line break that ends in the name of a file. Pure.
bool is_committable(const Committed& committed);

// Makes a release the committed one. The record is written first, and names this release and the one before
// it; then HEAD. Killed between the two, HEAD and the record still name a pair that was committed:
// read_committed() then gives the release before, or, where both were asked for by the same path, this one.
// An error: read_committed() gives what it gave before. May block on the disk.
Result<void> commit(const std::string& head_file, const std::string& state_dir, const Committed& committed);

// What a restart runs: the path that HEAD names, and the newest release in the record that was asked for by
// that path. A damaged record counts as none, with a warning in the log. Errors are those of read_head().
Result<Committed> read_committed(const std::string& head_file, const std::string& state_dir);

// The lines of a record, the newest first; an error says which line is none. `file` is for errors. Pure.
Result<std::vector<Committed>> parse_record(const std::string& text, const std::string& file);

// For people whose HEAD is damaged: what the record names first. A master that was killed between the two
// writes of commit() has recorded it and not committed it, so it decides nothing. Empty: there is no record,
// or a damaged one.
Committed newest_record(const std::string& state_dir);

}  // namespace liveswap::release
