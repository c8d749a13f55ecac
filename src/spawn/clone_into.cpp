#include "spawn/clone_into.hpp"

#include <fcntl.h>
#include <linux/sched.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <vector>

#include "base/unique_fd.hpp"

namespace liveswap::spawn {
namespace {

// glibc has no function for clone3(). The child must not return from a function that the parent has called,
// as it has an empty stack: it calls `child` and exits, all in assembler. Returns as the system call does.
long clone3_and_call(clone_args& args, int (*child)(void*), void* argument) {
#if defined(__x86_64__)
  long result = SYS_clone3;
  asm volatile(
      "syscall\n\t"
      "testq %%rax, %%rax\n\t"
      "jnz 1f\n\t"
      "movq %[argument], %%rdi\n\t"
      "callq *%[child]\n\t"
      "movl %%eax, %%edi\n\t"
      "movl %[exit], %%eax\n\t"
      "syscall\n\t"
      "hlt\n"
      "1:"
      : "+a"(result)
      : "D"(&args), "S"(sizeof args), [child] "r"(child), [argument] "r"(argument), [exit] "i"(SYS_exit_group)
      : "rcx", "r11", "memory", "cc");
  return result;
#elif defined(__aarch64__)
  register long number asm("x8") = SYS_clone3;
  register long first asm("x0") = reinterpret_cast<long>(&args);
  register long second asm("x1") = sizeof args;
  asm volatile(
      "svc #0\n\t"
      "cbnz x0, 1f\n\t"
      "mov x0, %[argument]\n\t"
      "blr %[child]\n\t"
      "mov x8, %[exit]\n\t"
      "svc #0\n\t"
      "brk #1\n"
      "1:"
      : "+r"(first)
      : "r"(number), "r"(second), [child] "r"(child), [argument] "r"(argument), [exit] "i"(SYS_exit_group)
      : "x30", "memory", "cc");
  return first;
#else
  (void)args, (void)child, (void)argument;
  return -ENOSYS;
#endif
}

}  // namespace

pid_t clone_into(int cgroup, ChildStack stack, int (*child)(void*), void* argument, int* pidfd) {
  clone_args args{};
  args.flags = CLONE_VM | CLONE_VFORK | CLONE_PIDFD;
  if (cgroup >= 0) args.flags |= CLONE_INTO_CGROUP;
  args.pidfd = reinterpret_cast<std::uint64_t>(pidfd);
  args.exit_signal = SIGCHLD;
  args.stack = reinterpret_cast<std::uint64_t>(stack.base);
  args.stack_size = stack.size;
  args.cgroup = static_cast<std::uint64_t>(std::max(cgroup, 0));
  const long result = clone3_and_call(args, child, argument);
  if (result >= 0) return static_cast<pid_t>(result);
  errno = static_cast<int>(-result);
  return -1;
}

bool can_clone_into(const std::string& cgroup) {
  const auto directory = UniqueFd::adopt(::open(cgroup.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!directory) return false;
  clone_args args{};
  args.flags = CLONE_VM | CLONE_VFORK | CLONE_INTO_CGROUP;
  args.cgroup = static_cast<std::uint64_t>(directory.get());
  std::vector<char> stack(std::size_t{16} * 1024);
  args.stack = (reinterpret_cast<std::uint64_t>(stack.data()) + 15) & ~std::uint64_t{15};
  args.stack_size = stack.size() - 16;
  // No exit signal, so that a program that embeds liveswap gets no SIGCHLD.
  const long pid = clone3_and_call(
      args, [](void*) { return 0; }, nullptr);
  if (pid < 0) return false;
  while (::waitpid(static_cast<pid_t>(pid), nullptr, __WALL) < 0 && errno == EINTR) continue;
  return true;
}

}  // namespace liveswap::spawn
