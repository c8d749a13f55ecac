#include "master/sockets/reuseport_group.hpp"

#include <linux/filter.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <numeric>
#include <unordered_set>
#include <utility>

#include "base/log.hpp"

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
bool ReuseportGroup::steer(int fd, const std::vector<unsigned>& numbers) const {
  const int unused = 0;  // the kernel requires an int, of any value
  if (numbers.empty())
    return ::setsockopt(fd, SOL_SOCKET, SO_DETACH_REUSEPORT_BPF, &unused, sizeof unused) == 0 ||
           errno == ENOENT;
  std::vector<sock_filter> code;
  if (deal_ == Deal::by_peer) hash_peer(code);
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

void ReuseportGroup::remove_last() {
  std::erase(dealt_to_, sockets_.back());
  sockets_.pop_back();
}

bool ReuseportGroup::hold() {
  if (sockets_.empty() || !program_.empty()) return true;
  std::vector<unsigned> all(sockets_.size());
  std::iota(all.begin(), all.end(), 0u);
  if (!steer(dealt_to_.empty() ? sockets_[0] : dealt_to_[0], all)) return false;
  program_ = all;
  return true;
}

Result<void> ReuseportGroup::deal_to(const std::vector<int>& sockets, const std::string& object) {
  std::vector<unsigned> numbers;  // empty: all
  if (sockets != sockets_) {
    const std::unordered_set<int> wanted(sockets.begin(), sockets.end());
    for (unsigned number = 0; number < sockets_.size(); ++number)
      if (wanted.contains(sockets_[number])) numbers.push_back(number);
    if (numbers.size() == sockets_.size()) numbers.clear();
  }
  // Set or remove the program even if the numbers are the same: an application may have replaced it, and a
  // killed master may have changed it after its last state. Use a socket that gets connections: an
  // application may have locked a replaced one (SO_LOCK_FILTER). Where no program is wanted and none is
  // known, an error says that there is none.
  const bool is_known_change = numbers != program_ || !numbers.empty();
  if (!steer(sockets[0], numbers) && is_known_change)
    return os_fail("steer the connections of", object, errno);
  program_ = numbers;
  dealt_to_ = sockets;
  return {};
}

Result<void> ReuseportGroup::replace(int former, int fresh, const std::string& object) {
  add(fresh);
  auto sockets = dealt_to_;
  std::replace(sockets.begin(), sockets.end(), former, fresh);
  return deal_to(sockets, object);
}

// By shutdown() the socket has left the group: the last member has taken its number. By listen() it has
// joined again, and is last now. If several sockets left at once, the order is unknown, and the numbers may
// be wrong: a connection could then wait in a set that is not live. Only a shutdown() by an application,
// which the contract forbids, causes this.
void ReuseportGroup::repair(const std::vector<int>& members, const std::function<bool(int)>& listen_again,
                            const std::string& object) {
  bool moved = false;
  for (const int fd : std::vector<int>(members)) {
    if (!listen_again(fd)) continue;
    std::swap(*std::find(sockets_.begin(), sockets_.end(), fd), sockets_.back());
    moved = true;
  }
  if (!moved || sockets_.size() == 1) return;
  // The kernel may have dropped the program together with an empty group, and the numbers have changed.
  program_.clear();
  if (auto dealt = deal_to(std::vector<int>(dealt_to_), object); !dealt)
    log::seldom({"connections that cannot be steered"}, log::Level::warning, "{}", dealt.error().text);
}

}  // namespace liveswap::master
