#include <dlfcn.h>
#include <sys/epoll.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <mutex>

// libuv aborts the process if epoll_ctl() fails, which happens if the kernel is short of memory (ENOMEM) or
// the user's limit on watches is reached (ENOSPC, fs.epoll.max_user_watches). So the program `liveswap`
// defines epoll_ctl(): a call that fails this way is stored and reports success, and epoll_wait() repeats
// the call every 50 ms. Until then the descriptor reports no events. Linked into that program only.
namespace {

constexpr int retry_ms = 50;

struct Noted {
  int set;
  int operation;
  int fd;
  epoll_event event;
};

std::mutex lock;
std::array<Noted, 4096> noted;
std::size_t count = 0;

template <class Function>
Function next_of(const char* name) {
  return reinterpret_cast<Function>(::dlsym(RTLD_NEXT, name));
}

int control(int set, int operation, int fd, epoll_event* event) {
  static const auto next = next_of<int (*)(int, int, int, epoll_event*)>("epoll_ctl");
  return next(set, operation, fd, event);
}

Noted* find(int set, int fd) {
  const auto end = noted.begin() + count;
  const auto found =
      std::find_if(noted.begin(), end, [&](const Noted& one) { return one.set == set && one.fd == fd; });
  return found == end ? nullptr : &*found;
}

void forget(Noted& one) { one = noted[--count]; }

bool is_shortage(int error) { return error == ENOMEM || error == ENOSPC; }

// False: retry later.
bool try_again(Noted& one) {
  if (control(one.set, one.operation, one.fd, &one.event) == 0) return true;
  if (errno == EEXIST && control(one.set, EPOLL_CTL_MOD, one.fd, &one.event) == 0) return true;
  return !is_shortage(errno);  // a descriptor closed meanwhile does not matter
}

// The number of calls still stored.
std::size_t try_noted() {
  const std::lock_guard guard(lock);
  for (std::size_t i = 0; i < count;)
    if (try_again(noted[i])) forget(noted[i]);
    else ++i;
  return count;
}

// The result of a failed call; -1: not stored.
int keep(int set, int operation, int fd, const epoll_event* event, int error) {
  Noted* before = find(set, fd);
  if (operation == EPOLL_CTL_DEL) {
    if (!before || before->operation != EPOLL_CTL_ADD) return -1;
    forget(*before);
    return 0;
  }
  if (!is_shortage(error) && !(before && error == ENOENT)) return -1;
  if (before) {
    before->event = *event;
    return 0;
  }
  if (count == noted.size()) return -1;
  noted[count++] = {set, operation, fd, *event};
  return 0;
}

// Calls `wait` with a limit in milliseconds; in steps while calls are stored.
template <class Wait>
int wait_and_retry(int limit, Wait&& wait) {
  for (;;) {
    const bool all_done = try_noted() == 0;
    const bool last = all_done || (limit >= 0 && limit <= retry_ms);
    const int found = wait(last ? limit : retry_ms);
    if (found != 0 || last) return found;
    if (limit > 0) limit -= retry_ms;
  }
}

}  // namespace

extern "C" {

[[gnu::visibility("default")]] int epoll_ctl(int set, int operation, int fd, epoll_event* event) noexcept {
  const int done = control(set, operation, fd, event);
  const int error = errno;
  const std::lock_guard guard(lock);
  if (done == 0) {
    if (Noted* before = find(set, fd)) forget(*before);
    return 0;
  }
  const int kept = keep(set, operation, fd, event, error);
  errno = error;
  return kept;
}

[[gnu::visibility("default")]] int epoll_wait(int set, epoll_event* events, int size, int limit) {
  static const auto next = next_of<int (*)(int, epoll_event*, int, int)>("epoll_wait");
  return wait_and_retry(limit, [&](int piece) { return next(set, events, size, piece); });
}

[[gnu::visibility("default")]] int epoll_pwait(int set, epoll_event* events, int size, int limit,
                                               const sigset_t* mask) {
  static const auto next = next_of<int (*)(int, epoll_event*, int, int, const sigset_t*)>("epoll_pwait");
  return wait_and_retry(limit, [&](int piece) { return next(set, events, size, piece, mask); });
}
}
