// Programs that deal the connections of an SO_REUSEPORT group.
#include "master/sockets/steering_program.hpp"

#include <doctest/doctest.h>
#include <linux/bpf.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <numeric>
#include <vector>

#include "master/sockets/reuseport_group.hpp"
#include "master/sockets/sockets.hpp"

using namespace liveswap;
using namespace liveswap::master;

namespace {

// Sockets of one group, by number.
class Group {
 public:
  explicit Group(unsigned count) {
    sockaddr_in any{};
    any.sin_family = AF_INET;
    any.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    for (unsigned i = 0; i < count; ++i) {
      fds_.push_back(UniqueFd::adopt(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)));
      const int on = 1;
      ::setsockopt(fds_[i].get(), SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
      REQUIRE(::bind(fds_[i].get(), reinterpret_cast<sockaddr*>(&any), sizeof any) == 0);
      REQUIRE(::listen(fds_[i].get(), 128) == 0);
      socklen_t size = sizeof any;
      ::getsockname(fds_[i].get(), reinterpret_cast<sockaddr*>(&any), &size);
    }
  }

  int any() const { return fds_.back().get(); }
  std::vector<int> sockets() const {
    std::vector<int> all;
    for (const UniqueFd& one : fds_) all.push_back(one.get());
    return all;
  }

  // How many of so many new connections each socket gets.
  std::vector<int> deal(int connections) const {
    std::vector<int> counts(fds_.size());
    const auto where = address_of(any());
    for (int i = 0; i < connections; ++i) {
      const auto client = UniqueFd::adopt(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
      REQUIRE(::connect(client.get(), where.get(), where.length) == 0);
      std::vector<pollfd> polls;
      for (const UniqueFd& one : fds_) polls.push_back({one.get(), POLLIN, 0});
      REQUIRE(::poll(polls.data(), polls.size(), 10'000) == 1);
      for (std::size_t number = 0; number < polls.size(); ++number) {
        if (polls[number].revents == 0) continue;
        ++counts[number];
        ::close(::accept(polls[number].fd, nullptr, nullptr));
      }
    }
    return counts;
  }

 private:
  std::vector<UniqueFd> fds_;
};

using Counts = std::vector<int>;

// Whether a program that does nothing may be loaded. A wrong program fails the tests below instead.
bool may_load() {
  const bpf_insn code[] = {{BPF_ALU64 | BPF_MOV | BPF_K, 0, 0, 0, 0}, {BPF_JMP | BPF_EXIT, 0, 0, 0, 0}};
  bpf_attr attributes{};
  attributes.prog_type = BPF_PROG_TYPE_SOCKET_FILTER;
  attributes.insns = reinterpret_cast<std::uintptr_t>(code);
  attributes.insn_cnt = 2;
  attributes.license = reinterpret_cast<std::uintptr_t>("MIT");
  const auto program =
      UniqueFd::adopt(static_cast<int>(::syscall(SYS_bpf, BPF_PROG_LOAD, &attributes, sizeof attributes)));
  if (!program) MESSAGE("eBPF is not allowed here: left out");
  return static_cast<bool>(program);
}

// Each of these sockets has `each` connections, or one or two more or less; the others have none.
void check_even(const Counts& counts, const std::vector<unsigned>& numbers, int each) {
  int sum = 0;
  for (const unsigned number : numbers) {
    CAPTURE(number);
    CHECK(std::abs(counts[number] - each) <= 2);
    sum += counts[number];
  }
  CHECK(sum == std::accumulate(counts.begin(), counts.end(), 0));
}

}  // namespace

TEST_CASE("in turn: each of these sockets gets as many") {
  if (!may_load()) return;
  const Group group(8);
  Turns turns;
  for (const std::vector<unsigned>& numbers :
       {std::vector<unsigned>{0, 1, 2, 3, 4, 5, 6, 7}, {1, 2, 4, 7}, {6}, {0, 7}, {0, 2, 4, 6}}) {
    REQUIRE(turns.deal(group.any(), numbers));
    check_even(group.deal(20 * static_cast<int>(numbers.size())), numbers, 20);
  }
}

// The master sets the program again at each of its steps.
TEST_CASE("in turn: it goes on where it was when it is set again, also with other sockets in between") {
  if (!may_load()) return;
  const Group group(4);
  Turns turns;
  Counts counts(4);
  for (int i = 0; i < 80; ++i) {
    REQUIRE(turns.deal(group.any(), {0, 1, 2, 3}));
    const auto one = group.deal(1);
    for (unsigned number = 0; number < 4; ++number) counts[number] += one[number];
  }
  check_even(counts, {0, 1, 2, 3}, 20);
  counts.assign(4, 0);
  for (int i = 0; i < 80; ++i) {
    REQUIRE(turns.deal(group.any(), {0, 1, 2, 3}));
    const auto one = group.deal(1);
    for (unsigned number = 0; number < 4; ++number) counts[number] += one[number];
    REQUIRE(turns.deal(group.any(), {1}));
    group.deal(1);  // as if the kernel ran the program twice for each connection
  }
  check_even(counts, {0, 1, 2, 3}, 20);
}

TEST_CASE("at random: only these sockets, each some") {
  const Group group(8);
  REQUIRE(deal_at_random(group.any(), {1, 2, 4, 7}));
  const auto counts = group.deal(200);
  for (const int none : {0, 3, 5, 6}) CHECK(counts[static_cast<unsigned>(none)] == 0);
  for (const int some : {1, 2, 4, 7}) CHECK(counts[static_cast<unsigned>(some)] > 0);
}

TEST_CASE("without a program the kernel deals to all") {
  const Group group(3);
  CHECK(remove_program(group.any()));  // there is none
  REQUIRE(deal_at_random(group.any(), {1}));
  CHECK(group.deal(5) == Counts{0, 5, 0});
  REQUIRE(remove_program(group.any()));
  const auto counts = group.deal(200);
  CHECK(*std::min_element(counts.begin(), counts.end()) > 0);
}

TEST_CASE("a group deals evenly, around those that shall get none, and to a new member when told") {
  if (!may_load()) return;
  const Group four(4);
  ReuseportGroup group(Deal::in_turn);
  const auto all = four.sockets();
  for (unsigned i = 0; i < 3; ++i) group.add(all[i]);
  REQUIRE(group.deal_to({all[0], all[1], all[2]}, "test").has_value());
  check_even(four.deal(60), {0, 1, 2}, 20);
  REQUIRE(group.deal_to({all[0], all[2]}, "test").has_value());
  check_even(four.deal(40), {0, 2}, 20);
  REQUIRE(group.hold());
  group.add(all[3]);
  check_even(four.deal(40), {0, 2}, 20);
  REQUIRE(group.deal_to(all, "test").has_value());
  check_even(four.deal(80), {0, 1, 2, 3}, 20);
}

TEST_CASE("a group of which the last member is removed names it no more") {
  if (!may_load()) return;
  const Group four(4);
  ReuseportGroup group(Deal::in_turn);
  for (const int fd : four.sockets()) group.add(fd);
  REQUIRE(group.deal_to(four.sockets(), "test").has_value());
  struct {
    std::vector<unsigned> program;
    auto& operator()(const char*, std::vector<int>&) { return *this; }
    auto& operator()(const char*, std::vector<unsigned>& values) {
      program = values;
      return *this;
    }
  } seen;
  group.describe(seen);
  CHECK(seen.program == std::vector<unsigned>{0, 1, 2, 3});
  group.remove_last();
  group.describe(seen);
  CHECK(seen.program == std::vector<unsigned>{0, 1, 2});
}

// In a child, because the refusal holds for the whole process.
TEST_CASE("a group of a user who may load no eBPF program deals at random" *
          doctest::skip(::geteuid() != 0)) {
  const Group four(4);
  const pid_t child = ::fork();
  if (child == 0) {
    constexpr uid_t nobody = 65534;
    if (::setresuid(nobody, nobody, nobody) != 0) ::_exit(10);
    ReuseportGroup group(Deal::in_turn);
    const auto all = four.sockets();
    for (const int fd : all) group.add(fd);
    if (!group.deal_to({all[1], all[2]}, "test")) ::_exit(11);
    auto counts = four.deal(100);
    if (counts[0] != 0 || counts[1] == 0 || counts[2] == 0 || counts[3] != 0) ::_exit(12);
    if (!group.deal_to(all, "test")) ::_exit(13);
    counts = four.deal(200);
    ::_exit(*std::min_element(counts.begin(), counts.end()) > 0 ? 0 : 14);
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  CHECK(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 0);
}
