#include "master/taken_unix.hpp"

#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/log.hpp"
#include "master/acting_as.hpp"

namespace liveswap::master {

// Spared, it can still be reached by whoever is connecting, and by an abstract name until its last worker goes.
TakenUnix::~TakenUnix() {
  if (!fd_) return;
  remove_file();
  if (spared_)
    discard(std::move(fd_));
  else
    shut_down(fd_.get());
}

void TakenUnix::remove_file() const {
  if (is_abstract() || !has_file()) return;
  const ActingAs user(made_by_);
  if (user.error() == 0) ::unlink(where_.path().c_str());
}

// A Unix socket that was shut down once refuses everybody for ever, and listen() succeeds all the same.
void TakenUnix::give_up() {
  log::warning("listener {}: an application has shut it down; who binds it next makes a new one", name());
  remove_file();
  discard(std::move(fd_));
}

bool TakenUnix::is_at(const TakenAddress& address) const {
  return where_.same(address) || (address.type == where_.type && leads_to(address, *this));
}

// The number is not given to another file as long as the socket lives, which holds on to its own.
bool TakenUnix::is_file(const struct stat& file) const {
  return fd_ && !is_abstract() && file.st_dev == file_.st_dev && file.st_ino == file_.st_ino;
}

bool TakenUnix::has_file() const {
  struct stat found {};
  return ::lstat(where_.path().c_str(), &found) == 0 && is_file(found);
}

int TakenUnix::add(unsigned, unsigned, ReceivedFd fd, const std::optional<Identity>& as) {
  TakenAddress where = asked();
  {
    const ActingAs user(as);
    if (user.error() != 0) return user.error();
    // Of the socket, whose mode the application may have set by fchmod(): what its own bind() would have made of it.
    struct stat own {};
    if (::fstat(fd.get(), &own) != 0) return errno;
    if (::bind(fd.get(), where.where.get(), where.where.length) != 0) return errno;
    where = bound_address(fd.get(), where);
    // Nobody can connect before listen(): the mode is right by then. That of the file is the worker's umask, not ours.
    if (const auto path = where.path(); !path.empty() && path.front() != '\0') {
      ::chmod(path.c_str(), own.st_mode & 0777 & ~where.umask);
      if (::lstat(path.c_str(), &file_) != 0) return errno;
    }
  }
  // Whoever has the socket before still accepts what waits in it.
  if (asked().is_unnamed()) rename(where.text());
  where_ = where;
  discard(std::exchange(fd_, fd.release()));
  made_by_ = as;
  listens_ = false;
  nonblocking_ = false;
  return rules_.listen_at_once ? listen(0, 0, 0) : 0;
}

int TakenUnix::listen(unsigned, unsigned, int backlog) {
  if (!fd_) return EBADF;
  backlog_ = std::max({backlog_, rules_.backlog, backlog});
  // Also where an application has listened past the worker host.
  if (::listen(fd_.get(), backlog_) != 0) return errno;
  listens_ = true;
  return 0;
}

Result<void> TakenUnix::point(unsigned set, unsigned, const std::set<unsigned>&) {
  set_ = set;
  return {};
}

void TakenUnix::repair() {
  if (fd_ && is_shut_down(fd_.get())) give_up();
  if (!fd_) return;
  if (!listens_ && fd_ && listens(fd_.get())) {
    backlog_ = std::max(backlog_, rules_.backlog);
    listens_ = true;
  }
  if (listens_) repair_taken(fd_.get(), backlog_, nonblocking_);
}

int TakenUnix::reachable(unsigned, unsigned) const {
  return fd_ && (is_abstract() || has_file()) ? fd_.get() : -1;
}

int TakenUnix::socket(unsigned, unsigned) const { return listens_ ? fd_.get() : -1; }

std::vector<int> TakenUnix::sockets(unsigned set) const {
  if (set != set_ || !listens_) return {};
  return {fd_.get()};
}

}  // namespace liveswap::master
