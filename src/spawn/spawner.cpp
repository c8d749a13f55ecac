#include "spawn/spawner.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <mutex>
#include <unordered_set>

#include "spawn/clone_into.hpp"

#ifndef CLONE_PIDFD
#define CLONE_PIDFD 0x00001000
#endif

namespace liveswap::spawn {
namespace {

// Enough for the system calls between clone and exec, also with sanitizers.
constexpr std::size_t stack_size = 256 * 1024;

// Input and result of the child, which shares the memory of this process; the calling thread is stopped
// meanwhile. Filled before the clone, because the child must not allocate.
struct Plan {
  const Request* request;
  std::vector<char*> arguments;
  std::vector<char*> environment;
  std::vector<int> moved;
  int null_fd;
  const char* failed_step;
  const char* failed_object;
  int failed_errno;
  const std::pair<int, rlimit>* failed_limit = nullptr;
};

std::mutex claims_lock;
std::unordered_set<pid_t> claims;

std::shared_ptr<const void> claim(pid_t pid) {
  const std::lock_guard guard(claims_lock);
  claims.insert(pid);
  return std::shared_ptr<const void>(nullptr, [pid](const void*) {
    const std::lock_guard once_more(claims_lock);
    claims.erase(pid);
  });
}

int give_up(Plan& plan, const char* step, const std::string& object) {
  plan.failed_errno = errno;
  plan.failed_step = step;
  plan.failed_object = object.c_str();
  return 127;
}

// The child makes raw system calls where a wrapper does more than the call: glibc's of the user would change
// all threads of the parent, and a sanitizer's of descriptors and signal handlers would note for the parent
// what the child does.

// First moves all sources above the targets, since a source may have a target's number.
bool place_descriptors(Plan& plan) {
  const auto& wanted = plan.request->descriptors;
  const int count = static_cast<int>(wanted.size());
  for (int i = 0; i < count; ++i) {
    const int source = wanted[i] >= 0 ? wanted[i] : (i <= STDERR_FILENO ? plan.null_fd : -1);
    plan.moved[i] = source < 0 ? -1 : static_cast<int>(::syscall(SYS_fcntl, source, F_DUPFD, count));
    if (source >= 0 && plan.moved[i] < 0) return false;
  }
  for (int i = 0; i < count; ++i) {
    if (plan.moved[i] < 0) ::syscall(SYS_close, i);
    else if (::syscall(SYS_dup3, plan.moved[i], i, 0) < 0) return false;
  }
  return ::syscall(SYS_close_range, static_cast<unsigned>(count), ~0U, 0) == 0;
}

bool become(const Identity& identity) {
  return ::syscall(SYS_setgroups, identity.groups.size(), identity.groups.data()) == 0 &&
         ::syscall(SYS_setresgid, identity.group, identity.group, identity.group) == 0 &&
         ::syscall(SYS_setresuid, identity.user, identity.user, identity.user) == 0;
}

void reset_signals() {
  // The kernel's struct sigaction and sigset_t. All zero is SIG_DFL, and no signal.
  static constexpr unsigned long zero[8] = {};
  constexpr std::size_t mask_size = NSIG / 8;
  for (int number = 1; number < NSIG; ++number) ::syscall(SYS_rt_sigaction, number, zero, nullptr, mask_size);
  ::syscall(SYS_rt_sigprocmask, SIG_SETMASK, zero, nullptr, mask_size);
}

int child_main(void* argument) {
  Plan& plan = *static_cast<Plan*>(argument);
  const Request& request = *plan.request;
  if (::setpgid(0, 0) != 0) return give_up(plan, "make a process group for", request.program);
  if (!place_descriptors(plan)) return give_up(plan, "place the descriptors of", request.program);
  for (const auto& limit : request.limits) {
    if (::setrlimit(static_cast<__rlimit_resource_t>(limit.first), &limit.second) == 0) continue;
    plan.failed_limit = &limit;
    return give_up(plan, "set the resource limits of", request.program);
  }
  if (request.identity && !become(*request.identity))
    return give_up(plan, "change the user of", request.program);
  if (!request.working_directory.empty() && ::chdir(request.working_directory.c_str()) != 0)
    return give_up(plan, "change to the working directory", request.working_directory);
  if (request.working_directory.empty() && !request.home.empty()) {
    // If that fails (removed, or not permitted), the child keeps the inherited directory.
    [[maybe_unused]] const int stays = ::chdir(request.home.c_str());
  }
  reset_signals();
  ::execve(request.program.c_str(), plan.arguments.data(), plan.environment.data());
  return give_up(plan, "execute", request.program);
}

const char* name_of_limit(int resource) {
  switch (resource) {
    case RLIMIT_NOFILE: return "NOFILE";
    case RLIMIT_CORE: return "CORE";
    case RLIMIT_AS: return "AS";
    case RLIMIT_NPROC: return "NPROC";
    case RLIMIT_STACK: return "STACK";
    case RLIMIT_MEMLOCK: return "MEMLOCK";
    case RLIMIT_CPU: return "CPU";
    case RLIMIT_FSIZE: return "FSIZE";
    default: return "?";
  }
}

std::string shown(rlim_t value) { return value == RLIM_INFINITY ? "unlimited" : std::to_string(value); }

// Root may exceed every hard limit except RLIMIT_NOFILE, which fs.nr_open bounds.
std::string allowed(int resource) {
  rlimit now{};
  ::getrlimit(static_cast<__rlimit_resource_t>(resource), &now);
  std::string text = "the hard limit is " + shown(now.rlim_max);
  std::ifstream file("/proc/sys/fs/nr_open");
  if (rlim_t most = 0; resource == RLIMIT_NOFILE && file >> most)
    text += ", and fs.nr_open allows " + std::to_string(most) + " at most";
  return text;
}

tl::unexpected<Error> limit_failed(const std::pair<int, rlimit>& limit, int number) {
  const std::string upper = name_of_limit(limit.first);
  std::string lower = upper;
  for (char& letter : lower) letter = static_cast<char>(letter - 'A' + 'a');
  return fail(fmt::format(
      "cannot set the limit {} to {}: {}: {}; ask for less (--limit {}=…, limits: in the file), or raise it "
      "where the master is started (Limit{}= of a systemd unit, limits.conf)",
      lower, shown(limit.second.rlim_cur), ::strerrordesc_np(number), allowed(limit.first), lower, upper));
}

void wait_for(pid_t pid) {
  while (::waitpid(pid, nullptr, 0) < 0 && errno == EINTR) continue;
}

std::vector<char*> pointers(const std::vector<std::string>& texts) {
  std::vector<char*> found;
  for (const auto& text : texts) found.push_back(const_cast<char*>(text.c_str()));
  found.push_back(nullptr);
  return found;
}

class Stack {
 public:
  Stack()
      : base_(::mmap(nullptr, stack_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1,
                     0)) {}
  Stack(const Stack&) = delete;
  Stack& operator=(const Stack&) = delete;
  ~Stack() {
    if (usable()) ::munmap(base_, stack_size);
  }
  bool usable() const { return base_ != MAP_FAILED; }
  void* top() const { return static_cast<char*>(base_) + stack_size; }
  ChildStack whole() const { return {base_, stack_size}; }

 private:
  void* base_;
};

// In the cgroup of the request if that is possible, else in the caller's. clone() is for kernels and filters
// without clone3(): the thread sanitizer's wrapper of it takes this thread for the child, and sees none of
// its locks from then on.
pid_t clone_child(Plan& plan, const Stack& stack, int cgroup, int* pidfd) {
  for (const int where : {cgroup, -1})
    if (const pid_t pid = clone_into(where, stack.whole(), child_main, &plan, pidfd); pid >= 0) return pid;
  return ::clone(child_main, stack.top(), CLONE_VM | CLONE_VFORK | CLONE_PIDFD | SIGCHLD, &plan, pidfd);
}

}  // namespace

Child adopt(pid_t pid, UniqueFd pidfd) { return {pid, std::move(pidfd), claim(pid)}; }

bool is_claimed(pid_t pid) {
  const std::lock_guard guard(claims_lock);
  return claims.contains(pid);
}

Result<Child> spawn(const Request& request) {
  const Stack stack;
  if (!stack.usable()) return os_fail("reserve a stack for", request.program, errno);
  const auto null_fd = UniqueFd::adopt(::open("/dev/null", O_RDWR | O_CLOEXEC));
  if (!null_fd) return os_fail("open", "/dev/null", errno);
  const auto cgroup = UniqueFd::adopt(
      request.cgroup.empty() ? -1 : ::open(request.cgroup.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  Plan plan{&request,
            pointers(request.arguments),
            pointers(request.environment),
            std::vector<int>(request.descriptors.size(), -1),
            null_fd.get(),
            nullptr,
            nullptr,
            0,
            nullptr};

  // Block all signals: a signal in the child would run a handler of this process on the shared memory.
  sigset_t all, before;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  int pidfd = -1;
  const pid_t pid = clone_child(plan, stack, cgroup.get(), &pidfd);
  const int clone_errno = errno;
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);

  if (pid < 0) return os_fail("fork for", request.program, clone_errno);
  Child child{pid, UniqueFd::adopt(pidfd), nullptr};
  if (!plan.failed_step) {
    try {
      child.claim = claim(pid);
    } catch (...) {
      ::kill(pid, SIGKILL);
      wait_for(pid);
      throw;
    }
    return child;
  }
  wait_for(pid);
  if (plan.failed_limit) return limit_failed(*plan.failed_limit, plan.failed_errno);
  return os_fail(plan.failed_step, plan.failed_object, plan.failed_errno);
}

}  // namespace liveswap::spawn
