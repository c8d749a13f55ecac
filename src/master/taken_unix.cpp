#include "master/taken_unix.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "master/acting_as.hpp"

namespace liveswap::master {

TakenUnix::~TakenUnix() {
  if (listens_) turn_away(fd_.get());
  if (fd_) ::shutdown(fd_.get(), SHUT_RDWR);
  if (!fd_ || is_abstract() || !has_file()) return;
  const ActingAs user(made_by_);
  if (user.error() == 0) ::unlink(where_.path().c_str());
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

int TakenUnix::add(unsigned, unsigned, UniqueFd fd, const std::optional<Identity>& as) {
  TakenAddress where = asked();
  {
    const ActingAs user(as);
    if (user.error() != 0) return user.error();
    if (::bind(fd.get(), where.where.get(), where.where.length) != 0) return errno;
    where = bound_address(fd.get(), where);
    // Nobody can connect before listen(): the mode is right by then. That of the file is the worker's umask, not ours.
    if (const auto path = where.path(); !path.empty() && path.front() != '\0') {
      ::chmod(path.c_str(), 0777 & ~where.umask);
      if (::lstat(path.c_str(), &file_) != 0) return errno;
    }
  }
  // Whoever has the socket before still accepts what waits in it.
  if (asked().is_unnamed()) rename(where.text());
  where_ = where;
  fd_ = std::move(fd);
  made_by_ = as;
  listens_ = false;
  return rules_.listen_at_once ? listen(0, 0, 0) : 0;
}

int TakenUnix::listen(unsigned, unsigned, int backlog) {
  if (!fd_) return EBADF;
  backlog_ = std::max({backlog_, rules_.backlog, backlog});
  if (const int flags = ::fcntl(fd_.get(), F_GETFL); !(flags & O_NONBLOCK))
    ::fcntl(fd_.get(), F_SETFL, flags | O_NONBLOCK);
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
  if (!listens_ && fd_ && listens(fd_.get())) {
    backlog_ = std::max(backlog_, rules_.backlog);
    listens_ = true;
  }
  if (listens_) repair_socket(fd_.get(), backlog_);
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
