#pragma once

#include <fcntl.h>

#include <map>

#include "master/state/archive.hpp"
#include "master/state/master_state.hpp"

namespace liveswap::test {

// What the next master gets of these listeners: the same sockets and files, by duplicates of the descriptors.
inline master::state::ListenersState kept_for_next(master::state::ListenersState state) {
  std::map<int, int> numbers;
  for (const int fd : master::state::descriptors_of(state)) numbers[fd] = ::fcntl(fd, F_DUPFD_CLOEXEC, 0);
  master::state::Renumberer(numbers).visit(state);
  return state;
}

}  // namespace liveswap::test
