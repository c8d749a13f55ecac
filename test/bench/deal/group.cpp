#include "group.hpp"

#include <arpa/inet.h>
#include <linux/bpf.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstring>
#include <stdexcept>

namespace deal {
namespace {

int checked(long result, const char* what) {
  if (result < 0) throw std::runtime_error(std::string("cannot ") + what + ": " + std::strerror(errno));
  return static_cast<int>(result);
}

long bpf(bpf_cmd command, bpf_attr& attributes) {
  return ::syscall(SYS_bpf, command, &attributes, sizeof attributes);
}

int make_map(bpf_map_type type, unsigned value_size, unsigned entries, unsigned flags) {
  bpf_attr attributes{};
  attributes.map_type = type;
  attributes.key_size = 4;
  attributes.value_size = value_size;
  attributes.max_entries = entries;
  attributes.map_flags = flags;
  return checked(bpf(BPF_MAP_CREATE, attributes), "make an eBPF map");
}

void put(int map, std::uint32_t key, std::uint64_t value) {
  bpf_attr attributes{};
  attributes.map_fd = static_cast<unsigned>(map);
  attributes.key = reinterpret_cast<std::uint64_t>(&key);
  attributes.value = reinterpret_cast<std::uint64_t>(&value);
  checked(bpf(BPF_MAP_UPDATE_ELEM, attributes), "put a socket into an eBPF map");
}

using Code = std::vector<bpf_insn>;

bpf_insn instruction(int code, int to, int from, int offset, int immediate) {
  return {static_cast<std::uint8_t>(code), static_cast<std::uint8_t>(to & 15),
          static_cast<std::uint8_t>(from & 15), static_cast<std::int16_t>(offset), immediate};
}

bpf_insn copy(int to, int from) { return instruction(BPF_ALU64 | BPF_MOV | BPF_X, to, from, 0, 0); }
bpf_insn set(int to, int value) { return instruction(BPF_ALU64 | BPF_MOV | BPF_K, to, 0, 0, value); }
bpf_insn call(int function) { return instruction(BPF_JMP | BPF_CALL, 0, 0, 0, function); }

void load_map(Code& code, int to, int map) {
  code.push_back(instruction(BPF_LD | BPF_DW | BPF_IMM, to, BPF_PSEUDO_MAP_FD, 0, map));
  code.push_back(instruction(0, 0, 0, 0, 0));
}

// r7 = how often the program ran before, modulo the number of workers. r0: Counts.
void choose_in_turn(Code& code, unsigned workers) {
  code.push_back(set(7, 1));
  code.push_back(
      instruction(BPF_STX | BPF_DW | BPF_ATOMIC, 0, 7, offsetof(Counts, turn), BPF_ADD | BPF_FETCH));
  code.push_back(instruction(BPF_ALU64 | BPF_MOD | BPF_K, 7, 0, 0, static_cast<int>(workers)));
}

// r7 = the worker with the fewest open connections; counts the connection as given. r0: Counts.
void choose_fewest(Code& code, unsigned workers) {
  constexpr int longest = 0x7fffffff;
  code.push_back(set(7, 0));
  code.push_back(set(5, longest));
  for (unsigned worker = 0; worker < workers; ++worker) {
    const int at = static_cast<int>(worker * sizeof(std::uint64_t));
    code.push_back(
        instruction(BPF_LDX | BPF_DW | BPF_MEM, 3, 0, static_cast<int>(offsetof(Counts, given)) + at, 0));
    code.push_back(
        instruction(BPF_LDX | BPF_DW | BPF_MEM, 4, 0, static_cast<int>(offsetof(Counts, closed)) + at, 0));
    code.push_back(instruction(BPF_ALU64 | BPF_SUB | BPF_X, 3, 4, 0, 0));
    code.push_back(instruction(BPF_JMP | BPF_JSGE | BPF_X, 3, 5, 2, 0));
    code.push_back(copy(5, 3));
    code.push_back(set(7, static_cast<int>(worker)));
  }
  code.push_back(copy(2, 7));
  code.push_back(instruction(BPF_ALU64 | BPF_AND | BPF_K, 2, 0, 0, most_workers - 1));
  code.push_back(instruction(BPF_ALU64 | BPF_LSH | BPF_K, 2, 0, 0, 3));
  code.push_back(instruction(BPF_ALU64 | BPF_ADD | BPF_X, 0, 2, 0, 0));
  code.push_back(set(3, 1));
  code.push_back(instruction(BPF_STX | BPF_DW | BPF_ATOMIC, 0, 3, offsetof(Counts, given), BPF_ADD));
}

int load(const Code& code) {
  static char log[65536];
  bpf_attr attributes{};
  attributes.prog_type = BPF_PROG_TYPE_SK_REUSEPORT;
  attributes.insns = reinterpret_cast<std::uint64_t>(code.data());
  attributes.insn_cnt = static_cast<unsigned>(code.size());
  attributes.license = reinterpret_cast<std::uint64_t>("GPL");
  attributes.log_buf = reinterpret_cast<std::uint64_t>(log);
  attributes.log_size = sizeof log;
  attributes.log_level = 1;
  const long program = bpf(BPF_PROG_LOAD, attributes);
  if (program < 0) throw std::runtime_error(std::string("cannot load the eBPF program: ") + log);
  return static_cast<int>(program);
}

}  // namespace

Group::Group(Way way, unsigned workers) : way_(way) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  for (unsigned i = 0; i < (way == Way::shared ? 1 : workers); ++i) {
    const int fd = checked(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), "make a socket"), on = 1;
    ::setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
    checked(::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address), "bind");
    checked(::listen(fd, 1024), "listen");
    socklen_t size = sizeof address;
    ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size);
    sockets_.push_back(fd);
  }
  port_ = ntohs(address.sin_port);
  maps_.push_back(make_map(BPF_MAP_TYPE_ARRAY, sizeof(Counts), 1, BPF_F_MMAPABLE));
  void* const memory = ::mmap(nullptr, sizeof(Counts), PROT_READ | PROT_WRITE, MAP_SHARED, maps_[0], 0);
  if (memory == MAP_FAILED) throw std::runtime_error("cannot map the eBPF map");
  counts_ = static_cast<Counts*>(memory);
  if (way == Way::in_turn || way == Way::fewest) steer();
}

void Group::steer() {
  const auto workers = static_cast<unsigned>(sockets_.size());
  maps_.push_back(make_map(BPF_MAP_TYPE_REUSEPORT_SOCKARRAY, 8, workers, 0));
  for (unsigned i = 0; i < workers; ++i) put(maps_[1], i, static_cast<std::uint64_t>(sockets_[i]));
  Code code{copy(6, 1)};
  load_map(code, 1, maps_[0]);
  code.push_back(instruction(BPF_ST | BPF_W | BPF_MEM, 10, 0, -4, 0));
  code.push_back(copy(2, 10));
  code.push_back(instruction(BPF_ALU64 | BPF_ADD | BPF_K, 2, 0, 0, -4));
  code.push_back(call(BPF_FUNC_map_lookup_elem));
  code.push_back(instruction(BPF_JMP | BPF_JNE | BPF_K, 0, 0, 2, 0));
  code.push_back(set(0, SK_PASS));
  code.push_back(instruction(BPF_JMP | BPF_EXIT, 0, 0, 0, 0));
  if (way_ == Way::in_turn) choose_in_turn(code, workers);
  else choose_fewest(code, workers);
  code.push_back(instruction(BPF_STX | BPF_W | BPF_MEM, 10, 7, -4, 0));
  code.push_back(copy(1, 6));
  load_map(code, 2, maps_[1]);
  code.push_back(copy(3, 10));
  code.push_back(instruction(BPF_ALU64 | BPF_ADD | BPF_K, 3, 0, 0, -4));
  code.push_back(set(4, 0));
  code.push_back(call(BPF_FUNC_sk_select_reuseport));
  code.push_back(set(0, SK_PASS));
  code.push_back(instruction(BPF_JMP | BPF_EXIT, 0, 0, 0, 0));
  const int program = load(code);
  checked(::setsockopt(sockets_[0], SOL_SOCKET, SO_ATTACH_REUSEPORT_EBPF, &program, sizeof program),
          "attach the eBPF program");
  ::close(program);
}

Group::~Group() {
  for (const int fd : sockets_) ::close(fd);
  for (const int fd : maps_) ::close(fd);
  if (counts_ != nullptr) ::munmap(counts_, sizeof(Counts));
}

}  // namespace deal
