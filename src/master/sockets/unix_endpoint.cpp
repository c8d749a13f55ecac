#include "master/sockets/unix_endpoint.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstdio>
#include <utility>

#include "base/log.hpp"
#include "master/sockets/accept_queue.hpp"
#include "master/sockets/bind_address.hpp"
#include "master/sockets/bound_file.hpp"
#include "master/sockets/sockets.hpp"
#include "master/state/socket_state.hpp"

namespace liveswap::master {
namespace {

constexpr mode_t first_mode = 0660;

// Copies owner and mode, which an administrator may have changed for clients of another group.
Result<void> take_after(int socket, const std::string& path, const struct stat& model) {
  const auto file = file_of_bound(socket, path);
  struct stat found {};
  if (!file || ::fstat(file.get(), &found) != 0) return os_fail("find the socket's file at", path, errno);
  const bool is_same = found.st_uid == model.st_uid && found.st_gid == model.st_gid;
  if (const int error = is_same ? 0 : set_owner_of(file.get(), model.st_uid, model.st_gid); error != 0)
    return os_fail("give the former socket's owner to", path, error);
  // After chown(), which clears set-id bits.
  if (const int error = set_mode_of(file.get(), model.st_mode & 0777); error != 0)
    return os_fail("set the mode of", path, error);
  return {};
}

}  // namespace

Result<std::unique_ptr<Endpoint>> UnixEndpoint::open(const Listener& wanted, const std::string& path,
                                                     int backlog, unsigned set) {
  auto opened = listen_unix(path, first_mode, backlog);
  if (!opened) return tl::unexpected<Error>(opened.error());
  std::unique_ptr<UnixEndpoint> endpoint(new UnixEndpoint(wanted.name, path));
  endpoint->lock_ = std::move(opened->lock);
  endpoint->backlog_ = backlog;
  endpoint->sockets_.resize(set);
  endpoint->sockets_.push_back(std::move(opened->socket));
  endpoint->set_ = set;
  endpoint->file_ = SocketFile(path, std::nullopt);
  return endpoint;
}

Result<std::unique_ptr<Endpoint>> UnixEndpoint::go_on(const Listener& wanted, const std::string& path,
                                                      int backlog, UniqueFd socket) {
  struct stat file {};
  const bool is_there = ::lstat(path.c_str(), &file) == 0 && S_ISSOCK(file.st_mode);
  if (!is_there || unix_file(socket.get()).value_or(file.st_ino) != file.st_ino) {
    log::warning(
        "listener {}: the path {} does not lead to the socket that the service manager has kept: another "
        "is bound",
        wanted.name, path);
    ::shutdown(socket.get(), SHUT_RDWR);
    socket.reset();
    return open(wanted, path, backlog);
  }
  auto lock = lock_unix(path);
  if (!lock) return tl::unexpected<Error>(lock.error());
  std::unique_ptr<UnixEndpoint> endpoint(new UnixEndpoint(wanted.name, path));
  end_blocking(socket.get());
  endpoint->leave_open();
  endpoint->lock_ = std::move(*lock);
  endpoint->backlog_ = backlog;
  endpoint->sockets_.push_back(std::move(socket));
  endpoint->file_ = SocketFile(path, std::nullopt);
  return endpoint;
}

UnixEndpoint::UnixEndpoint(const state::EndpointState& from)
    : Endpoint(from),
      path_(from.text),
      beside_(path_ + ".new"),
      file_(from.file),
      set_beside_(from.set_beside),
      lock_(UniqueFd::adopt(from.lock.number)),
      backlog_(from.backlog),
      set_(from.set) {
  for (const auto& set : from.sets) sockets_.push_back(UniqueFd::adopt(set.at(0).fd.number));
  see_exchange();
}

// A master that was killed right after point() has exchanged the files, or has renamed one over the other,
// and its state does not tell it.
void UnixEndpoint::see_exchange() {
  const int beside = set_beside_ ? socket(*set_beside_, 0) : -1;
  if (beside < 0) return;
  struct stat found {};
  const bool is_beside = ::lstat(beside_.c_str(), &found) == 0;
  const bool is_exchanged = is_beside && file_.is(found);
  const bool is_renamed = !is_beside && ::lstat(path_.c_str(), &found) == 0 && !file_.is(found) &&
                          unix_file(beside).value_or(found.st_ino) == found.st_ino;
  if (!is_exchanged && !is_renamed) return;
  const unsigned former = std::exchange(set_, *set_beside_);
  set_beside_ = is_exchanged ? std::optional(former) : std::nullopt;
  file_ = SocketFile(path_, std::nullopt);
}

void UnixEndpoint::save(state::EndpointState& into) const {
  Endpoint::save(into);
  into.kind = state::EndpointState::Kind::unix_path;
  into.text = path_;
  into.file = file_;
  into.set_beside = set_beside_;
  into.lock = {lock_.get()};
  into.backlog = backlog_;
  into.set = set_;
  for (const UniqueFd& one : sockets_) into.sets.push_back({{{one.get()}}});
}

// Another process' file at the path stays.
UnixEndpoint::~UnixEndpoint() {
  if (!is_left_open()) file_.remove();
  settle();
  if (is_left_open()) return;
  for (const UniqueFd& socket : sockets_)
    if (socket) shut_down(socket.get());
  unlock_unix(std::move(lock_));
}

Result<void> UnixEndpoint::prepare(unsigned set, unsigned) {
  if (sockets_.size() <= set) sockets_.resize(set + 1);
  if (sockets_[set]) return {};
  struct stat model {};
  const bool there = ::lstat(path_.c_str(), &model) == 0 && S_ISSOCK(model.st_mode);
  auto fd = bind_unix(beside_, there ? model.st_mode & 0777 : first_mode, backlog_);
  if (!fd) return tl::unexpected<Error>(fd.error());
  set_beside_ = set;
  if (there)
    if (auto same = take_after(fd->get(), beside_, model); !same) {
      settle();
      return same;
    }
  sockets_[set] = std::move(*fd);
  return {};
}

// Exchanges both files, so that a later point() can undo it. If the file system cannot exchange, or the path
// was removed, renames instead.
Result<void> UnixEndpoint::point(unsigned set, unsigned, const std::set<unsigned>&) {
  if (set == set_) return {};
  if (::renameat2(AT_FDCWD, beside_.c_str(), AT_FDCWD, path_.c_str(), RENAME_EXCHANGE) != 0) {
    if (::rename(beside_.c_str(), path_.c_str()) != 0) return os_fail("rename over " + path_, beside_, errno);
    set_beside_.reset();
  } else {
    set_beside_ = set_;
  }
  set_ = set;
  file_ = SocketFile(path_, std::nullopt);
  return {};
}

void UnixEndpoint::settle() {
  if (std::exchange(set_beside_, std::nullopt)) ::unlink(beside_.c_str());
}

// Closed, so that a connect() that found the path just before the flip repeats the look-up
// (unix_stream_connect in the kernel).
void UnixEndpoint::retire(unsigned set) {
  if (set >= sockets_.size() || !sockets_[set]) return;
  if (set_beside_ == set) settle();
  turn_away(sockets_[set].get());
  sockets_[set].reset();
}

void UnixEndpoint::set_backlog(int backlog) {
  if (std::exchange(backlog_, backlog) == backlog) return;
  // On a listening socket this only sets the backlog.
  for (const UniqueFd& socket : sockets_)
    if (socket) ::listen(socket.get(), backlog_);
}

void UnixEndpoint::move_door(Door door) {
  switch (door) {
    case Door::open: return file_.show();
    case Door::held: return file_.hide();
    case Door::abandoned:
      file_.remove();
      settle();
      unlock_unix(std::move(lock_));
  }
}

std::vector<std::string> UnixEndpoint::watched() const {
  if (door() != Door::open) return {};
  return {path_, file_.spare()};
}

void UnixEndpoint::repair() {
  if (door() != Door::open) return;
  for (unsigned set = 0; set < sockets_.size(); ++set) {
    if (!sockets_[set]) continue;
    if (is_shut_down(sockets_[set].get())) replace(set);
    else repair_socket(sockets_[set].get(), backlog_);
  }
}

// A Unix socket that was shut down refuses connections for ever, although listen() succeeds. A new one
// replaces the socket for workers started from now on. A former set has no path any more.
void UnixEndpoint::replace(unsigned set) {
  if (set != set_ && set_beside_ != set) return;
  const log::Kind kind{"listeners that an application has shut down"};
  const std::string& path = set == set_ ? path_ : beside_;
  auto fresh = bind_anew(path);
  if (!fresh)
    return log::seldom(kind, log::Level::error, "listener {}: an application has shut it down: {}", name(),
                       fresh.error().text);
  sockets_[set] = std::move(*fresh);
  if (set == set_) file_ = SocketFile(path_, std::nullopt);
  log::seldom(kind, log::Level::warning,
              "listener {}: an application has shut it down; a new socket is in its place, which the workers "
              "that run now "
              "do not have: `liveswap upgrade` replaces them",
              name());
}

FileReport UnixEndpoint::mend_file() {
  if (door() != Door::open) return {};
  return mend(file_, [this] { return replace_removed(); });
}

Result<std::uint64_t> UnixEndpoint::replace_removed() {
  const struct stat before = file_.known();
  auto fresh = bind_unix(path_, before.st_mode & 0777, backlog_);
  if (!fresh) return tl::unexpected<Error>(fresh.error());
  if (auto same = take_after(fresh->get(), path_, before); !same)
    log::seldom({"files of Unix sockets"}, log::Level::warning, "listener {}: {}", name(), same.error().text);
  const auto former = cookie_of(sockets_[set_].get());
  sockets_[set_] = std::move(*fresh);
  file_ = SocketFile(path_, std::nullopt);
  return former;
}

Result<UniqueFd> UnixEndpoint::bind_anew(const std::string& path) const {
  const std::string temporary = path_ + ".again";
  struct stat model {};
  const bool there = ::lstat(path.c_str(), &model) == 0 && S_ISSOCK(model.st_mode);
  auto fd = bind_unix(temporary, there ? model.st_mode & 0777 : first_mode, backlog_);
  if (!fd) return fd;
  auto same = there ? take_after(fd->get(), temporary, model) : Result<void>();
  if (same && ::rename(temporary.c_str(), path.c_str()) != 0)
    same = os_fail("rename over " + path, temporary, errno);
  if (same) return fd;
  ::unlink(temporary.c_str());
  return tl::unexpected<Error>(same.error());
}

bool UnixEndpoint::is_at(const BindAddress& address) const {
  return !is_abandoned() && address.is_unix() && address.type == SOCK_STREAM &&
         (address.path() == path_ || leads_to(address, *this));
}

std::vector<int> UnixEndpoint::sockets(unsigned set) const {
  if (set >= sockets_.size() || !sockets_[set]) return {};
  return {sockets_[set].get()};
}

}  // namespace liveswap::master
