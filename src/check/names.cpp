#include "check/names.hpp"

#include <algorithm>
#include <iterator>

namespace liveswap::checks {
namespace {

enum : unsigned {
  interposed = 1,  // by the worker host, as in src/worker/worker.list
  tells = 2,       // how a server works: starts processes, or asks about drains (liveswap_plugin.h)
  blocks = 4,      // a thread, or ends main() while other threads continue
};

struct Function {
  std::string_view name;
  unsigned what;
};

constexpr Function functions[] = {
    {"_Exit", interposed},
    {"_Fork", tells},
    {"__dprintf_chk", interposed},
    {"__poll_chk", interposed | blocks},
    {"__ppoll_chk", interposed | blocks},
    {"__read_chk", interposed | blocks},
    {"__recv_chk", interposed | blocks},
    {"__recvfrom_chk", interposed | blocks},
    {"__vdprintf_chk", interposed},
    {"_exit", interposed},
    {"accept", interposed | blocks},
    {"accept4", interposed | blocks},
    {"bind", interposed},
    {"clock_nanosleep", blocks},
    {"close", interposed},
    {"close_range", interposed},
    {"closefrom", interposed},
    {"cnd_timedwait", blocks},
    {"cnd_wait", blocks},
    {"connect", interposed},
    {"daemon", interposed},
    {"dprintf", interposed},
    {"dup", interposed},
    {"dup2", interposed},
    {"dup3", interposed},
    {"epoll_ctl", interposed},
    {"epoll_pwait", interposed | blocks},
    {"epoll_pwait2", interposed | blocks},
    {"epoll_wait", interposed | blocks},
    {"execl", tells},
    {"execle", tells},
    {"execlp", tells},
    {"execv", tells},
    {"execve", tells},
    {"execveat", tells},
    {"execvp", tells},
    {"execvpe", tells},
    {"exit", interposed},
    {"fcntl", interposed},
    {"fcntl64", interposed},
    {"fexecve", tells},
    {"fgets", blocks},
    {"fork", tells},
    {"fread", blocks},
    {"getchar", blocks},
    {"getline", blocks},
    {"ioctl", interposed},
    {"listen", interposed},
    {"liveswap_drain_fd", tells},
    {"liveswap_drain_left_ms", tells},
    {"liveswap_draining", tells},
    {"mq_receive", blocks},
    {"mq_timedreceive", blocks},
    {"msgrcv", blocks},
    {"nanosleep", blocks},
    {"pause", blocks},
    {"poll", interposed | blocks},
    {"ppoll", interposed | blocks},
    {"prctl", interposed},
    {"pselect", interposed | blocks},
    {"pthread_barrier_wait", blocks},
    {"pthread_cond_clockwait", blocks},
    {"pthread_cond_timedwait", blocks},
    {"pthread_cond_wait", blocks},
    {"pthread_create", interposed},
    {"pthread_exit", blocks},
    {"pthread_join", blocks},
    {"pthread_sigmask", interposed},
    {"pthread_timedjoin_np", blocks},
    {"read", interposed | blocks},
    {"readv", interposed | blocks},
    {"recv", interposed | blocks},
    {"recvfrom", interposed | blocks},
    {"recvmmsg", blocks},
    {"recvmsg", interposed | blocks},
    {"remove", interposed},
    {"rename", interposed},
    {"renameat", interposed},
    {"renameat2", interposed},
    {"select", interposed | blocks},
    {"sem_clockwait", blocks},
    {"sem_timedwait", blocks},
    {"sem_wait", blocks},
    {"send", interposed},
    {"sendfile", interposed},
    {"sendfile64", interposed},
    {"sendmmsg", interposed},
    {"sendmsg", interposed},
    {"sendto", interposed},
    {"setsid", interposed},
    {"setsockopt", interposed},
    {"shutdown", interposed},
    {"sigaction", interposed},
    {"signal", interposed},
    {"sigprocmask", interposed},
    {"sigsuspend", blocks},
    {"sigtimedwait", blocks},
    {"sigwait", blocks},
    {"sigwaitinfo", blocks},
    {"sleep", blocks},
    {"splice", interposed},
    {"syscall", interposed | blocks},
    {"thrd_create", interposed},
    {"thrd_exit", blocks},
    {"thrd_join", blocks},
    {"thrd_sleep", blocks},
    {"unlink", interposed},
    {"unlinkat", interposed},
    {"usleep", blocks},
    {"vdprintf", interposed},
    {"vfork", tells},
    {"wait", blocks},
    {"wait4", blocks},
    {"waitid", blocks},
    {"waitpid", blocks},
    {"write", interposed},
    {"writev", interposed},
};

// Functions that block in C++: std::thread::join, std::condition_variable, and the futex of std::atomic::wait
// and std::future.
constexpr std::string_view blocking_prefixes[] = {"_ZNSt6thread4join", "_ZNSt18condition_variable",
                                                  "_ZNSt28__atomic_futex_unsigned"};

bool is(std::string_view name, unsigned what) {
  return std::any_of(std::begin(functions), std::end(functions),
                     [&](const Function& one) { return one.name == name && (one.what & what) != 0; });
}

bool is_uring(std::string_view name) { return name.starts_with("io_uring_"); }

}  // namespace

bool can_block(std::string_view name) {
  return is_uring(name) || is(name, blocks) ||
         std::any_of(std::begin(blocking_prefixes), std::end(blocking_prefixes),
                     [&](std::string_view prefix) { return name.starts_with(prefix); });
}

bool is_server_function(std::string_view name) { return is_uring(name) || is(name, interposed | tells); }

const std::vector<std::string_view>& interposed_functions() {
  static const auto names = [] {
    std::vector<std::string_view> found;
    for (const Function& one : functions)
      if (one.what & interposed) found.push_back(one.name);
    return found;
  }();
  return names;
}

}  // namespace liveswap::checks
