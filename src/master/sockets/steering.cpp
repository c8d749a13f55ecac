#include "master/sockets/steering.hpp"

#include <linux/filter.h>
#include <sys/socket.h>

#include <cerrno>

#ifndef SO_DETACH_REUSEPORT_BPF
#define SO_DETACH_REUSEPORT_BPF 68
#endif

namespace liveswap::master {
namespace {

// Consecutive numbers; `before`: the count of numbers in earlier runs.
struct Run {
  unsigned first, size, before;
};

std::vector<Run> runs_of(const std::vector<unsigned>& numbers) {
  std::vector<Run> runs;
  for (unsigned i = 0; i < numbers.size(); ++i) {
    if (!runs.empty() && numbers[i] == runs.back().first + runs.back().size) ++runs.back().size;
    else runs.push_back({numbers[i], 1, i});
  }
  return runs;
}

// Hashes the peer's address (IPv6: the last 32 bits) and port, read from the packet because the kernel's
// hash may be missing. With IPv4 options the port's offset holds other bytes, which is still a hash.
void hash_peer(std::vector<sock_filter>& code) {
  constexpr unsigned packet = static_cast<unsigned>(SKF_NET_OFF);
  code.push_back(BPF_STMT(BPF_LD | BPF_B | BPF_ABS, packet));
  code.push_back(BPF_STMT(BPF_ALU | BPF_RSH | BPF_K, 4));
  code.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 6, 4, 0));
  code.push_back(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, packet + 12));
  code.push_back(BPF_STMT(BPF_MISC | BPF_TAX, 0));
  code.push_back(BPF_STMT(BPF_LD | BPF_H | BPF_ABS, packet + 20));
  code.push_back(BPF_JUMP(BPF_JMP | BPF_JA, 3, 0, 0));
  code.push_back(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, packet + 20));
  code.push_back(BPF_STMT(BPF_MISC | BPF_TAX, 0));
  code.push_back(BPF_STMT(BPF_LD | BPF_H | BPF_ABS, packet + 40));
  code.push_back(BPF_STMT(BPF_ALU | BPF_XOR | BPF_X, 0));
  // Knuth's multiplicative hash: the upper bits are mixed best.
  code.push_back(BPF_STMT(BPF_ALU | BPF_MUL | BPF_K, 2654435761u));
  code.push_back(BPF_STMT(BPF_ALU | BPF_RSH | BPF_K, 16));
}

}  // namespace

// The program takes a random number (or hash) modulo the count, finds by comparisons the run that contains
// it, and returns the socket's number. Runs keep the program below the size limit (optmem_max). Random,
// since a listener is looked up once for each connection and a packet's hash may be missing; datagrams are
// looked up one by one, and those of one sender belong together.
bool steer_group(int fd, const std::vector<unsigned>& numbers, Deal deal) {
  const int unused = 0;  // the kernel requires an int, of any value
  if (numbers.empty())
    return ::setsockopt(fd, SOL_SOCKET, SO_DETACH_REUSEPORT_BPF, &unused, sizeof unused) == 0 ||
           errno == ENOENT;
  std::vector<sock_filter> code;
  if (deal == Deal::by_peer) hash_peer(code);
  else code.push_back(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, static_cast<unsigned>(SKF_AD_OFF + SKF_AD_RANDOM)));
  code.push_back(BPF_STMT(BPF_ALU | BPF_MOD | BPF_K, static_cast<unsigned>(numbers.size())));
  const auto runs = runs_of(numbers);
  for (const Run& run : runs) {
    if (&run != &runs.back())
      code.push_back(BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, run.before + run.size, 2, 0));
    code.push_back(BPF_STMT(BPF_ALU | BPF_ADD | BPF_K, run.first - run.before));
    code.push_back(BPF_STMT(BPF_RET | BPF_A, 0));
  }
  const sock_fprog program{static_cast<unsigned short>(code.size()), code.data()};
  return ::setsockopt(fd, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &program, sizeof program) == 0;
}

}  // namespace liveswap::master
