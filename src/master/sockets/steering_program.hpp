#pragma once

#include <vector>

namespace liveswap::master {

// Programs that choose the socket of an SO_REUSEPORT group for a new connection or a datagram. `fd`: any
// socket of the group; the program holds for all. `numbers`: of the sockets to choose from, ascending and not
// empty, in the order in which they began to listen. Each replaces the group's former program. False, with
// errno: the kernel refuses.

// One after the other. Needs an eBPF program, thus CAP_BPF (with unprivileged_bpf_disabled) and Linux 5.12.
bool deal_in_turn(int fd, const std::vector<unsigned>& numbers);

bool deal_at_random(int fd, const std::vector<unsigned>& numbers);

// By the peer's address and port: the datagrams of one peer go to one socket.
bool deal_by_peer(int fd, const std::vector<unsigned>& numbers);

// The kernel then chooses by a hash among all sockets. True also if there was no program.
bool remove_program(int fd);

}  // namespace liveswap::master
