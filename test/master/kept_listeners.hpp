#pragma once

#include <fcntl.h>

#include <map>

#include "master/state/master_state.hpp"

namespace liveswap::test {

// What the next master gets of a state, or of a part: the same sockets, by duplicates of the descriptors.
template <class State>
State kept_for_next(State state) {
  std::map<int, int> numbers;
  for (const int fd : master::state::descriptors_of(state)) numbers[fd] = ::fcntl(fd, F_DUPFD_CLOEXEC, 0);
  master::state::Renumberer(numbers).visit(state);
  return state;
}

}  // namespace liveswap::test
