#pragma once

#include <sys/types.h>

#include <cstddef>
#include <string>

namespace liveswap::spawn {

// A stack for a child; `base` is the lowest address.
struct ChildStack {
  void* base;
  std::size_t size;
};

// As clone(child, …, CLONE_VM | CLONE_VFORK | CLONE_PIDFD | SIGCHLD, argument, pidfd), but the child starts
// in the cgroup (version 2) whose directory is open as `cgroup` (-1: in this process' cgroup). Unlike a write
// to cgroup.procs, that does not wait for the kernel's other processors. -1, with errno: refused, or not
// known to this kernel (5.7) or architecture.
pid_t clone_into(int cgroup, ChildStack stack, int (*child)(void*), void* argument, int* pidfd);

// Whether clone_into() works for that directory; makes a process that exits at once.
bool can_clone_into(const std::string& cgroup);

}  // namespace liveswap::spawn
