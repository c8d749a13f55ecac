#pragma once

#include <string>
#include <vector>

#include "base/error.hpp"
#include "base/unique_fd.hpp"
#include "master/state/master_state.hpp"

namespace liveswap::master::state {

// The format of the state (docs/reference/state-file.md). A program reads every state of its own major
// version, with members that it does not know, or without some that it knows.
inline constexpr std::uint32_t major_version = 1;
inline constexpr std::uint32_t minor_version = 0;

struct Written {
  UniqueFd file;         // a sealed memory file; close-on-exec
  std::vector<int> fds;  // descriptors that the state names; borrowed
};
// Writes the state into a sealed memory file: a header with magic, versions, size and SHA-256, and a JSON
// document.
Result<Written> write(MasterState& state);

// The same in two steps, for a state that is kept for the next master, and written at each change: the
// document, which also sets MasterState::descriptors; and the memory file. The header has no SHA-256, which
// would take most of the time: nothing can change a sealed memory file.
std::string document_of(MasterState& state);
Result<UniqueFd> write_document(const std::string& document);

// Gives the descriptors of a state their numbers in this process: the n-th of MasterState::descriptors is
// `received[n]`. The value then owns those that it names; the others are closed. An error leaves all in
// `received`.
Result<void> take_descriptors(MasterState& state, std::vector<UniqueFd>& received);
// Closes those that it owns.
void close_descriptors(MasterState& state);

// Reads a state and checks it: the file's header, the document, and whether its parts fit together. Nothing
// in the file is trusted. The error names what is wrong. Whether the descriptors are open:
// check_descriptors().
Result<MasterState> read(int file);
// The same for the bytes of the file. Pure.
Result<MasterState> parse(std::string_view bytes);

// Whether each descriptor of the state is open in this process, and of the right kind.
Result<void> check_descriptors(MasterState& state);

}  // namespace liveswap::master::state
