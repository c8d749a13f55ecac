// Rings of the process, and what is pending in them (takeover/io_uring.h).
#include "../unit_worker.hpp"

#include <dlfcn.h>
#include <doctest/doctest.h>
#include <linux/io_uring.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include <cerrno>
#include <optional>

extern "C" {
#include "worker/base/libc.h"
#include "worker/takeover/io_uring.h"
}

using namespace liveswap;
using namespace liveswap::test;

namespace {

// A ring with memory mapped, as liburing makes one.
class Ring {
 public:
  explicit Ring(unsigned flags = 0) {
    parameters_.flags = flags;
    fd = UniqueFd::adopt(static_cast<int>(::syscall(SYS_io_uring_setup, 4, &parameters_)));
    if (!fd) return;
    submissions_ =
        map(parameters_.sq_off.array + parameters_.sq_entries * sizeof(unsigned), IORING_OFF_SQ_RING);
    completions_ =
        map(parameters_.cq_off.cqes + parameters_.cq_entries * sizeof(io_uring_cqe), IORING_OFF_CQ_RING);
    entries_ =
        static_cast<io_uring_sqe*>(map(parameters_.sq_entries * sizeof(io_uring_sqe), IORING_OFF_SQES));
  }
  // Submits an accept() on the listener.
  void accept(int listener, std::uint64_t data) {
    unsigned* const tail = number(submissions_, parameters_.sq_off.tail);
    const unsigned place = *tail & *number(submissions_, parameters_.sq_off.ring_mask);
    entries_[place] = io_uring_sqe{};
    entries_[place].opcode = IORING_OP_ACCEPT, entries_[place].fd = listener,
    entries_[place].user_data = data;
    number(submissions_, parameters_.sq_off.array)[place] = place;
    __atomic_store_n(tail, *tail + 1, __ATOMIC_RELEASE);
    REQUIRE(::syscall(SYS_io_uring_enter, fd.get(), 1, 0, 0, nullptr, 0) == 1);
  }
  // What has been completed next.
  struct Completion {
    std::uint64_t data;
    int result;
  };
  std::optional<Completion> completion() {
    unsigned* const head = number(completions_, parameters_.cq_off.head);
    if (*head == __atomic_load_n(number(completions_, parameters_.cq_off.tail), __ATOMIC_ACQUIRE))
      return std::nullopt;
    const auto* const all =
        reinterpret_cast<io_uring_cqe*>(static_cast<char*>(completions_) + parameters_.cq_off.cqes);
    const io_uring_cqe* const next = &all[*head & *number(completions_, parameters_.cq_off.ring_mask)];
    const Completion found{next->user_data, next->res};
    __atomic_store_n(head, *head + 1, __ATOMIC_RELEASE);
    return found;
  }
  UniqueFd fd;

 private:
  void* map(std::size_t size, off_t offset) const {
    void* const found =
        ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd.get(), offset);
    REQUIRE(found != MAP_FAILED);
    return found;
  }
  static unsigned* number(void* base, unsigned offset) {
    return reinterpret_cast<unsigned*>(static_cast<char*>(base) + offset);
  }
  io_uring_params parameters_{};
  void* submissions_ = nullptr;
  void* completions_ = nullptr;
  io_uring_sqe* entries_ = nullptr;
};

// Many containers forbid them.
bool have_rings() {
  io_uring_params parameters{};
  const UniqueFd ring = UniqueFd::adopt(static_cast<int>(::syscall(SYS_io_uring_setup, 1, &parameters)));
  if (!ring) MESSAGE("no io_uring here");
  return static_cast<bool>(ring);
}

// IORING_REGISTER_SYNC_CANCEL, since Linux 6.0.
bool can_cancel() {
  return in_child([] {
    const UnitWorker worker;
    const Ring ring;
    REQUIRE(io_uring_trouble() == URING_FINE);
  });
}

int fails_with = 0;

long failing_call(long, ...) {
  errno = fails_with;
  return -1;
}

}  // namespace

TEST_CASE("io_uring: a process without a ring has none, and nothing is wrong") {
  CHECK(in_child([] {
    const UnitWorker worker;
    const UniqueFd epoll = make_epoll();
    REQUIRE(!io_uring_is_there());
    REQUIRE(!io_uring_has_fixed_sockets());
    REQUIRE(io_uring_trouble() == URING_FINE);
    io_uring_cancel(epoll.get());
    REQUIRE(worker.kinds().empty());
  }));
}

TEST_CASE("io_uring: a library that has liburing in it is known by its functions") {
  void* const own = ::dlopen(nullptr, RTLD_NOW);
  REQUIRE(own != nullptr);
  CHECK_FALSE(io_uring_is_linked(own));
  ::dlclose(own);
}

TEST_CASE("io_uring: a ring is found as long as it is open, also by a copy of its descriptor") {
  if (!have_rings()) return;
  CHECK(in_child([] {
    const UnitWorker worker;
    Ring ring;
    REQUIRE(io_uring_is_there());
    UniqueFd copy = duplicate(ring.fd);
    ring.fd.reset();
    REQUIRE(io_uring_is_there());
    copy.reset();
    REQUIRE(!io_uring_is_there());
  }));
}

TEST_CASE("io_uring: sockets that a ring has without a descriptor") {
  if (!have_rings()) return;
  CHECK(in_child([] {
    const UnitWorker worker;
    const Ring ring;
    REQUIRE(!io_uring_has_fixed_sockets());
    const UniqueFd listener = listen_inet();
    int files[] = {0, listener.get()};
    REQUIRE(::syscall(SYS_io_uring_register, ring.fd.get(), IORING_REGISTER_FILES, files, 1) == 0);
    REQUIRE(!io_uring_has_fixed_sockets());  // a file is no connection
    REQUIRE(::syscall(SYS_io_uring_register, ring.fd.get(), IORING_UNREGISTER_FILES, nullptr, 0) == 0);
    REQUIRE(::syscall(SYS_io_uring_register, ring.fd.get(), IORING_REGISTER_FILES, files, 2) == 0);
    REQUIRE(io_uring_has_fixed_sockets());
  }));
}

TEST_CASE("io_uring: an accept() that is pending on the former socket is cancelled, others are not") {
  if (!have_rings() || !can_cancel()) return;
  CHECK(in_child([] {
    const UnitWorker worker;
    Ring ring;
    const UniqueFd listener = listen_inet(), other = listen_inet(), held = duplicate(listener);
    ring.accept(listener.get(), 1);
    ring.accept(other.get(), 2);
    REQUIRE(!ring.completion().has_value());
    io_uring_cancel(held.get());  // another descriptor of the same file
    std::optional<Ring::Completion> done;
    REQUIRE(eventually([&] { return (done = ring.completion()).has_value(); }));
    REQUIRE(done->data == 1);
    REQUIRE(done->result == -ECANCELED);
    REQUIRE(!ring.completion().has_value());
    io_uring_cancel(held.get());  // nothing is pending there any more
    REQUIRE(worker.kinds().empty());
  }));
}

TEST_CASE("io_uring: where the kernel cannot cancel, that is the trouble, and a warning") {
  if (!have_rings()) return;
  for (const int error : {EINVAL, EEXIST}) {
    CHECK(in_child([error] {
      fails_with = error;
      const UnitWorker worker;
      const Ring ring;
      libc.syscall = failing_call;
      REQUIRE(io_uring_trouble() == (error == EINVAL ? URING_OLD_KERNEL : URING_SINGLE_ISSUER));
      io_uring_cancel(0);
      const auto frame = worker.receive();
      REQUIRE(frame.has_value());
      REQUIRE(frame->kind == LIVESWAP_LOG);
      REQUIRE(frame->text.find("io_uring may go on accepting") != std::string::npos);
    }));
  }
}

TEST_CASE("io_uring: a ring for one thread only is trouble, from any other thread") {
  enum { SINGLE_ISSUER = 1 << 12 };  // IORING_SETUP_SINGLE_ISSUER, since Linux 6.0
  if (!have_rings() || !can_cancel()) return;
  CHECK(in_child([] {
    const UnitWorker worker;
    const Ring ring(SINGLE_ISSUER);
    REQUIRE(ring.fd);
    enum io_uring_trouble found = URING_FINE;
    std::thread([&] { found = io_uring_trouble(); }).join();
    REQUIRE(found == URING_SINGLE_ISSUER);
    REQUIRE(io_uring_trouble() == URING_FINE);
  }));
}
