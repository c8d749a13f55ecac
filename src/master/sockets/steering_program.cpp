#include "master/sockets/steering_program.hpp"

#include <linux/bpf.h>
#include <linux/filter.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>

#include "base/error.hpp"
#include "base/log.hpp"
#include "base/unique_fd.hpp"

#ifndef SO_DETACH_REUSEPORT_BPF
#define SO_DETACH_REUSEPORT_BPF 68
#endif

namespace liveswap::master {
namespace {

// Consecutive numbers; `before`: the count of numbers in earlier runs. The programs find by comparisons the
// run that contains a value below the count of all numbers. Runs keep the classic programs below the kernel's
// size limit (optmem_max).
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

// Classic programs: A is the value, and the result.
using Classic = std::vector<sock_filter>;

// Hashes the peer's address (IPv6: the last 32 bits) and port, read from the packet because the kernel's
// hash may be missing. With IPv4 options the port's offset holds other bytes, which is still a hash.
void hash_peer(Classic& code) {
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

bool attach_classic(int fd, Classic code, const std::vector<unsigned>& numbers) {
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

// eBPF programs: r0 is the result, r10 the end of the stack.
using Extended = std::vector<bpf_insn>;
enum Register : std::uint8_t { r0, r1, r2, r10 = 10 };

bpf_insn instruction(unsigned code, Register to, Register from, int offset, int value) {
  return {static_cast<std::uint8_t>(code), static_cast<std::uint8_t>(to & 15),
          static_cast<std::uint8_t>(from & 15), static_cast<std::int16_t>(offset), value};
}

UniqueFd bpf(bpf_cmd command, bpf_attr& attributes) {
  return UniqueFd::adopt(static_cast<int>(::syscall(SYS_bpf, command, &attributes, sizeof attributes)));
}

// r1 = how often the program ran before.
void count_runs(Extended& code, int counter) {
  constexpr int key = -4;
  const auto add = [&](auto... parts) { code.push_back(instruction(parts...)); };
  add(BPF_ST | BPF_W | BPF_MEM, r10, r0, key, 0);
  // NOLINTNEXTLINE(misc-redundant-expression): several parts of an instruction are 0
  add(BPF_LD | BPF_DW | BPF_IMM, r1, static_cast<Register>(BPF_PSEUDO_MAP_FD), 0, counter);
  add(0u, r0, r0, 0, 0);
  add(BPF_ALU64 | BPF_MOV | BPF_X, r2, r10, 0, 0);
  // NOLINTNEXTLINE(misc-redundant-expression): several parts of an instruction are 0
  add(BPF_ALU64 | BPF_ADD | BPF_K, r2, r0, 0, key);
  add(BPF_JMP | BPF_CALL, r0, r0, 0, BPF_FUNC_map_lookup_elem);
  add(BPF_JMP | BPF_JNE | BPF_K, r0, r0, 1, 0);
  add(BPF_JMP | BPF_EXIT, r0, r0, 0, 0);  // never: the verifier wants the check
  add(BPF_ALU64 | BPF_MOV | BPF_K, r1, r0, 0, 1);
  add(BPF_STX | BPF_DW | BPF_ATOMIC, r0, r1, 0, BPF_ADD | BPF_FETCH);
}

// r1 = a value below `count`, evenly. Not the counter modulo `count`: where the kernel runs the program twice
// for each connection (SYN cookies, TPROXY), half of the sockets would get none. The counter times 2^32
// divided by the golden ratio spreads evenly for every step (Knuth, The Art of Computer Programming, 6.4).
void spread(Extended& code, unsigned count) {
  constexpr auto golden = static_cast<int>(2654435769u);
  code.push_back(instruction(BPF_ALU | BPF_MUL | BPF_K, r1, r0, 0, golden));  // of 32 bits
  code.push_back(instruction(BPF_ALU64 | BPF_MUL | BPF_K, r1, r0, 0, static_cast<int>(count)));
  code.push_back(instruction(BPF_ALU64 | BPF_RSH | BPF_K, r1, r0, 0, 32));
}

UniqueFd make_counter() {
  bpf_attr attributes{};
  attributes.map_type = BPF_MAP_TYPE_ARRAY;
  attributes.key_size = 4;
  attributes.value_size = 8;
  attributes.max_entries = 1;
  return bpf(BPF_MAP_CREATE, attributes);
}

UniqueFd load_program(const Extended& code) {
  bpf_attr attributes{};
  // With this type the program returns a number in the group, as a classic program does.
  attributes.prog_type = BPF_PROG_TYPE_SOCKET_FILTER;
  attributes.insns = reinterpret_cast<std::uintptr_t>(code.data());
  attributes.insn_cnt = static_cast<unsigned>(code.size());
  attributes.license = reinterpret_cast<std::uintptr_t>("MIT");
  return bpf(BPF_PROG_LOAD, attributes);
}

bool turns_are_allowed = true;

}  // namespace

bool Turns::load(const std::vector<unsigned>& numbers) {
  if (!counter_) counter_ = make_counter();
  if (!counter_) return false;
  Extended code;
  count_runs(code, counter_.get());
  spread(code, static_cast<unsigned>(numbers.size()));
  const auto add = [&](auto... parts) { code.push_back(instruction(parts...)); };
  const auto runs = runs_of(numbers);
  for (const Run& run : runs) {
    if (&run != &runs.back())
      add(BPF_JMP | BPF_JGE | BPF_K, r1, r0, 3, static_cast<int>(run.before + run.size));
    // NOLINTNEXTLINE(misc-redundant-expression): several parts of an instruction are 0
    add(BPF_ALU64 | BPF_ADD | BPF_K, r1, r0, 0, static_cast<int>(run.first - run.before));
    add(BPF_ALU64 | BPF_MOV | BPF_X, r0, r1, 0, 0);
    add(BPF_JMP | BPF_EXIT, r0, r0, 0, 0);
  }
  auto program = load_program(code);
  if (!program) return false;
  program_ = std::move(program);
  numbers_ = numbers;
  return true;
}

bool Turns::deal(int fd, const std::vector<unsigned>& numbers) {
  if (!turns_are_allowed) return false;
  if ((!program_ || numbers_ != numbers) && !load(numbers)) {
    turns_are_allowed = false;
    log::info(
        "new connections go to the slots by the kernel's hash, not in turn: cannot load an eBPF program: {}",
        error_text(errno));
    return false;
  }
  const int program = program_.get();
  return ::setsockopt(fd, SOL_SOCKET, SO_ATTACH_REUSEPORT_EBPF, &program, sizeof program) == 0;
}

bool deal_at_random(int fd, const std::vector<unsigned>& numbers) {
  return attach_classic(
      fd, {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, static_cast<unsigned>(SKF_AD_OFF + SKF_AD_RANDOM))}, numbers);
}

bool deal_by_peer(int fd, const std::vector<unsigned>& numbers) {
  Classic code;
  hash_peer(code);
  return attach_classic(fd, std::move(code), numbers);
}

bool remove_program(int fd) {
  const int unused = 0;  // the kernel requires an int, of any value
  return ::setsockopt(fd, SOL_SOCKET, SO_DETACH_REUSEPORT_BPF, &unused, sizeof unused) == 0 ||
         errno == ENOENT;
}

}  // namespace liveswap::master
