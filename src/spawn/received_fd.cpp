#include "spawn/received_fd.hpp"

#include <signal.h>
#include <sys/socket.h>

#include <deque>
#include <mutex>
#include <thread>

namespace liveswap::spawn {
namespace {

constexpr unsigned threads_limit = 8;
constexpr std::size_t waiting_limit = 64;

// Never destroyed: a thread that hangs in close() may outlive main().
struct Closers {
  std::mutex lock;
  std::deque<UniqueFd> waiting;
  unsigned threads = 0;
};

Closers& closers() {
  static auto* const all = new Closers;
  return *all;
}

void close_waiting() {
  Closers& all = closers();
  for (;;) {
    UniqueFd next;
    {
      const std::lock_guard guard(all.lock);
      if (all.waiting.empty()) {
        --all.threads;
        return;
      }
      next = std::move(all.waiting.front());
      all.waiting.pop_front();
    }
  }
}

// With all signals blocked: they are for the embedding program's own threads. False: no thread could be
// started.
bool start_closer() {
  sigset_t every, before;
  ::sigfillset(&every);
  ::pthread_sigmask(SIG_SETMASK, &every, &before);
  bool started = true;
  try {
    std::thread(close_waiting).detach();
  } catch (...) {
    started = false;
  }
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return started;
}

void close_elsewhere(UniqueFd fd) {
  Closers& all = closers();
  const std::lock_guard guard(all.lock);
  try {
    all.waiting.push_back(std::move(fd));
  } catch (...) {  // no memory: closed on this thread after all
    return;
  }
  if (all.threads < threads_limit && start_closer()) ++all.threads;
}

bool is_internet(int fd) {
  int domain = 0;
  socklen_t size = sizeof domain;
  return ::getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) == 0 &&
         (domain == AF_INET || domain == AF_INET6);
}

}  // namespace

// Not {1, 0}, which would reset the connection and lose unsent data.
void discard(UniqueFd fd) {
  if (!fd) return;
  const linger background{0, 0};
  if (is_internet(fd.get()) &&
      ::setsockopt(fd.get(), SOL_SOCKET, SO_LINGER, &background, sizeof background) == 0)
    return;
  close_elsewhere(std::move(fd));
}

bool is_discarding_too_many() {
  Closers& all = closers();
  const std::lock_guard guard(all.lock);
  return all.waiting.size() >= waiting_limit;
}

}  // namespace liveswap::spawn
