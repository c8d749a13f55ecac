#pragma once

#include <vector>

#include "base/unique_fd.hpp"

namespace liveswap::master {

// Programs that choose the socket of an SO_REUSEPORT group for a new connection or a datagram. `fd`: any
// socket of the group; the program holds for all. `numbers`: of the sockets to choose from, ascending and not
// empty, in the order in which they began to listen. Each replaces the group's former program. False, with
// errno: the kernel refuses.

// An eBPF program with a counter, by which all sockets get as many connections. It is loaded again only for
// other numbers, and then goes on with the counter. Needs CAP_BPF (or unprivileged_bpf_disabled=0) and
// Linux 5.12.
class Turns {
 public:
  // Once the kernel has refused to load such a program, no object tries again.
  bool deal(int fd, const std::vector<unsigned>& numbers);

 private:
  bool load(const std::vector<unsigned>& numbers);

  UniqueFd counter_, program_;
  std::vector<unsigned> numbers_;  // in the program
};

bool deal_at_random(int fd, const std::vector<unsigned>& numbers);

// By the peer's address and port: the datagrams of one peer go to one socket.
bool deal_by_peer(int fd, const std::vector<unsigned>& numbers);

// The kernel then chooses by a hash among all sockets. True also if there was no program.
bool remove_program(int fd);

}  // namespace liveswap::master
