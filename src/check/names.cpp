#include "check/names.hpp"

#include <algorithm>
#include <iterator>

namespace liveswap::checks {
namespace {

// Functions that show how a server works: those interposed by the worker host, those that start processes,
// and those of the plugin contract about drains. In addition, all of liburing.
constexpr std::string_view server_functions[] = {"accept",
                                                 "accept4",
                                                 "bind",
                                                 "close",
                                                 "close_range",
                                                 "closefrom",
                                                 "connect",
                                                 "dup",
                                                 "dup2",
                                                 "dup3",
                                                 "epoll_ctl",
                                                 "epoll_pwait",
                                                 "epoll_pwait2",
                                                 "epoll_wait",
                                                 "fcntl",
                                                 "fcntl64",
                                                 "ioctl",
                                                 "listen",
                                                 "poll",
                                                 "ppoll",
                                                 "pselect",
                                                 "remove",
                                                 "select",
                                                 "shutdown",
                                                 "syscall",
                                                 "__dprintf_chk",
                                                 "__read_chk",
                                                 "__recv_chk",
                                                 "__recvfrom_chk",
                                                 "__vdprintf_chk",
                                                 "dprintf",
                                                 "read",
                                                 "readv",
                                                 "recv",
                                                 "recvfrom",
                                                 "recvmsg",
                                                 "send",
                                                 "sendfile",
                                                 "sendfile64",
                                                 "sendmmsg",
                                                 "sendmsg",
                                                 "sendto",
                                                 "splice",
                                                 "vdprintf",
                                                 "write",
                                                 "writev",
                                                 "unlink",
                                                 "unlinkat",
                                                 "prctl",
                                                 "pthread_create",
                                                 "pthread_sigmask",
                                                 "sigaction",
                                                 "signal",
                                                 "sigprocmask",
                                                 "thrd_create",
                                                 "_Fork",
                                                 "daemon",
                                                 "fork",
                                                 "setsid",
                                                 "vfork",
                                                 "execl",
                                                 "execle",
                                                 "execlp",
                                                 "execv",
                                                 "execve",
                                                 "execveat",
                                                 "execvp",
                                                 "execvpe",
                                                 "fexecve",
                                                 "liveswap_drain_fd",
                                                 "liveswap_draining",
                                                 "liveswap_drain_left_ms"};

// libc functions that can block a thread, or that end main() while other threads continue.
constexpr std::string_view blocking_functions[] = {"__poll_chk",
                                                   "__ppoll_chk",
                                                   "__read_chk",
                                                   "__recv_chk",
                                                   "__recvfrom_chk",
                                                   "accept",
                                                   "accept4",
                                                   "clock_nanosleep",
                                                   "cnd_timedwait",
                                                   "cnd_wait",
                                                   "epoll_pwait",
                                                   "epoll_pwait2",
                                                   "epoll_wait",
                                                   "fgets",
                                                   "fread",
                                                   "getchar",
                                                   "getline",
                                                   "mq_receive",
                                                   "mq_timedreceive",
                                                   "msgrcv",
                                                   "nanosleep",
                                                   "pause",
                                                   "poll",
                                                   "ppoll",
                                                   "pselect",
                                                   "pthread_barrier_wait",
                                                   "pthread_cond_clockwait",
                                                   "pthread_cond_timedwait",
                                                   "pthread_cond_wait",
                                                   "pthread_exit",
                                                   "pthread_join",
                                                   "pthread_timedjoin_np",
                                                   "read",
                                                   "readv",
                                                   "recv",
                                                   "recvfrom",
                                                   "recvmmsg",
                                                   "recvmsg",
                                                   "select",
                                                   "sem_clockwait",
                                                   "sem_timedwait",
                                                   "sem_wait",
                                                   "sigsuspend",
                                                   "sigtimedwait",
                                                   "sigwait",
                                                   "sigwaitinfo",
                                                   "sleep",
                                                   "syscall",
                                                   "thrd_exit",
                                                   "thrd_join",
                                                   "thrd_sleep",
                                                   "usleep",
                                                   "wait",
                                                   "wait4",
                                                   "waitid",
                                                   "waitpid"};

// The same in C++: std::thread::join, std::condition_variable, and the futex of std::atomic::wait and
// std::future.
constexpr std::string_view blocking_prefixes[] = {"_ZNSt6thread4join", "_ZNSt18condition_variable",
                                                  "_ZNSt28__atomic_futex_unsigned"};

}  // namespace

bool can_block(std::string_view name) {
  return name.substr(0, 9) == "io_uring_" ||
         std::find(std::begin(blocking_functions), std::end(blocking_functions), name) !=
             std::end(blocking_functions) ||
         std::any_of(std::begin(blocking_prefixes), std::end(blocking_prefixes),
                     [&](std::string_view prefix) { return name.substr(0, prefix.size()) == prefix; });
}

bool is_server_function(std::string_view name) {
  return name.substr(0, 9) == "io_uring_" ||
         std::find(std::begin(server_functions), std::end(server_functions), name) !=
             std::end(server_functions);
}

}  // namespace liveswap::checks
