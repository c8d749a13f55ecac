#include "master/steering.hpp"

#include <linux/filter.h>
#include <sys/socket.h>

#include <cerrno>

#ifndef SO_DETACH_REUSEPORT_BPF
#define SO_DETACH_REUSEPORT_BPF 68
#endif

namespace liveswap::master {
namespace {

// Numbers that follow each other, and how many came before them.
struct Run {
  unsigned first, size, before;
};

std::vector<Run> runs_of(const std::vector<unsigned>& numbers) {
  std::vector<Run> runs;
  for (unsigned i = 0; i < numbers.size(); ++i) {
    if (!runs.empty() && numbers[i] == runs.back().first + runs.back().size)
      ++runs.back().size;
    else
      runs.push_back({numbers[i], 1, i});
  }
  return runs;
}

}  // namespace

// A random number modulo the count; then a chain of comparisons finds the run that it falls into, and the sum
// of both is the number of the socket, the program's result. By runs, since the size of a program is limited
// (optmem_max). Random, not a hash: a listener is looked up once a connection, and a packet's hash may be
// missing.
bool steer_group(int fd, const std::vector<unsigned>& numbers) {
  const int unused = 0;  // the kernel wants an int, whatever it is
  if (numbers.empty())
    return ::setsockopt(fd, SOL_SOCKET, SO_DETACH_REUSEPORT_BPF, &unused, sizeof unused) == 0 ||
           errno == ENOENT;
  std::vector<sock_filter> code;
  code.push_back(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, static_cast<unsigned>(SKF_AD_OFF + SKF_AD_RANDOM)));
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
