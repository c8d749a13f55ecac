#include "master/steering.hpp"

#include <linux/filter.h>
#include <sys/socket.h>

#ifndef SO_DETACH_REUSEPORT_BPF
#define SO_DETACH_REUSEPORT_BPF 68
#endif

namespace liveswap::master {

// A random number modulo the count, then a chain of comparisons: the number of the socket is the program's result.
// Random, not a hash: a listener is looked up once a connection, and a packet's hash may be missing.
bool steer_group(int fd, const std::vector<unsigned>& numbers) {
  const int unused = 0;  // the kernel wants an int, whatever it is
  if (numbers.empty()) return ::setsockopt(fd, SOL_SOCKET, SO_DETACH_REUSEPORT_BPF, &unused, sizeof unused) == 0;
  const auto count = static_cast<unsigned>(numbers.size());
  std::vector<sock_filter> code;
  code.push_back(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, static_cast<unsigned>(SKF_AD_OFF + SKF_AD_RANDOM)));
  code.push_back(BPF_STMT(BPF_ALU | BPF_MOD | BPF_K, count));
  for (unsigned i = 0; i + 1 < count; ++i) {
    code.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, i, 0, 1));
    code.push_back(BPF_STMT(BPF_RET | BPF_K, numbers[i]));
  }
  code.push_back(BPF_STMT(BPF_RET | BPF_K, numbers.back()));
  const sock_fprog program{static_cast<unsigned short>(code.size()), code.data()};
  return ::setsockopt(fd, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &program, sizeof program) == 0;
}

}  // namespace liveswap::master
