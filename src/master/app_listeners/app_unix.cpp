#include "master/app_listeners/app_unix.hpp"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

#include "base/log.hpp"
#include "master/sockets/bound_file.hpp"
#include "master/state/socket_state.hpp"
#include "spawn/fs_identity.hpp"

namespace liveswap::master {

AppUnix::AppUnix(const state::EndpointState& from, const Rules& rules)
    : AppEndpoint(from),
      rules_(rules),
      where_(from.where),
      fd_(UniqueFd::adopt(from.sets.at(0).at(0).fd.number)),
      made_by_(from.made_by),
      file_(from.file),
      former_path_(from.former_path),
      backlog_(from.backlog),
      nonblocking_(from.nonblocking),
      listens_(from.listens),
      set_(from.set),
      spared_(from.spared) {}

void AppUnix::save(state::EndpointState& into) const {
  AppEndpoint::save(into);
  into.kind = state::EndpointState::Kind::app_unix;
  into.where = where_;
  into.sets = {{{{fd_.get()}}}};
  into.made_by = made_by_;
  into.file = file_;
  into.former_path = former_path_;
  into.backlog = backlog_;
  into.nonblocking = nonblocking_;
  into.listens = listens_;
  into.set = set_;
  into.spared = spared_;
}

// A spared socket stays reachable for clients that are just connecting, and under an abstract name until
// the last worker exits.
AppUnix::~AppUnix() {
  if (!fd_) return;
  file_.remove();
  if (spared_) spawn::discard(std::move(fd_));
  else shut_down(fd_.get());
}

// A Unix socket that was shut down refuses connections for ever, although listen() succeeds.
void AppUnix::give_up() {
  log::seldom({"listeners that an application has shut down"}, log::Level::warning,
              "listener {}: an application has shut it down; the next worker that binds it makes a new one",
              name());
  file_.remove();
  spawn::discard(std::move(fd_));
}

bool AppUnix::is_at(const BindAddress& address) const {
  if (where_.same(address)) return true;
  if (address.type != where_.type) return false;
  return (!former_path_.empty() && address.path() == former_path_) || leads_to(address, *this);
}

FileReport AppUnix::mend_file() {
  if (!fd_ || is_abstract() || !listens_) return {};
  return mend(file_, [this] { return replace_socket(); });
}

// Binds a new socket to the path, with the old file's owner and mode. Socket options of the application are
// lost, which are few for a Unix listener.
UniqueFd AppUnix::bind_again() const {
  const spawn::FsIdentity user(made_by_);
  if (errno = user.error(); errno != 0) return {};
  auto fd = UniqueFd::adopt(
      ::socket(AF_UNIX, where_.type | SOCK_CLOEXEC | (is_nonblocking(fd_.get()) ? SOCK_NONBLOCK : 0), 0));
  const struct stat& before = file_.known();
  // Before listen() no client can connect, so owner and mode are set in time.
  if (!fd || ::bind(fd.get(), where_.where.get(), where_.where.length) != 0) return {};
  const auto file = file_of_bound(fd.get(), where_.path());
  struct stat made {};
  if (!file || ::fstat(file.get(), &made) != 0) return {};
  const bool is_same = made.st_uid == before.st_uid && made.st_gid == before.st_gid;
  if (const int error = is_same ? 0 : set_owner_of(file.get(), before.st_uid, before.st_gid); error != 0)
    log::seldom({"files of Unix sockets"}, log::Level::warning,
                "listener {}: cannot give its file the owner that it had: {}", name(), error_text(error));
  set_mode_of(file.get(), before.st_mode & 0777);
  if (::listen(fd.get(), backlog_) != 0) return {};
  return fd;
}

Result<std::uint64_t> AppUnix::replace_socket() {
  auto fresh = bind_again();
  if (!fresh) return fail(error_text(errno));
  const auto former = cookie_of(fd_.get());
  spawn::discard(std::exchange(fd_, std::move(fresh)));
  file_ = SocketFile(where_.path(), made_by_);
  return former;
}

int AppUnix::move(const std::string& to, const std::string& from, bool keep_old,
                  const std::optional<spawn::Identity>& as) {
  BindAddress there = where_;
  if (!there.set_path(to)) return ENAMETOOLONG;
  if (const int error = file_.move(to, from, keep_old, as); error != 0) return error;
  if (where_.path() == to) return 0;
  former_path_ = where_.path();
  where_ = there;
  made_by_ = as;
  rename(where_.text());
  return 0;
}

int AppUnix::add(unsigned, unsigned, spawn::ReceivedFd fd, const std::optional<spawn::Identity>& as) {
  BindAddress where = asked();
  SocketFile file;
  {
    const spawn::FsIdentity user(as);
    if (user.error() != 0) return user.error();
    // bind() gives the file the socket's mode less the umask; an application may have changed the socket's
    // mode by fchmod().
    struct stat own {};
    if (::fstat(fd.get(), &own) != 0) return errno;
    if (::bind(fd.get(), where.where.get(), where.where.length) != 0) return errno;
    where = bound_address(fd.get(), where);
    // Before listen() no client can connect, so the mode is set in time. By the worker's umask, not the
    // master's.
    if (const auto path = where.path(); !path.empty() && path.front() != '\0') {
      const auto made = file_of_bound(fd.get(), path);
      if (!made) return errno;
      set_mode_of(made.get(), own.st_mode & 0777 & ~where.umask);
      file = SocketFile(path, as);
      if (!file.is_in_place()) return ENOENT;
    }
  }
  // Workers with the old socket still accept what waits there.
  if (asked().is_unnamed()) rename(where.text());
  where_ = where;
  spawn::discard(std::exchange(fd_, fd.release()));
  made_by_ = as;
  file_ = std::move(file);
  former_path_.clear();
  listens_ = false;
  nonblocking_ = false;
  return rules_.listen_at_once ? listen(0, 0, 0) : 0;
}

int AppUnix::listen(unsigned, unsigned, int backlog) {
  if (!fd_) return EBADF;
  backlog_ = std::max({backlog_, rules_.backlog, backlog});
  // If the application has called listen() unseen, this only sets the backlog.
  if (::listen(fd_.get(), backlog_) != 0) return errno;
  listens_ = true;
  return 0;
}

Result<void> AppUnix::point(unsigned set, unsigned, const std::set<unsigned>&) {
  set_ = set;
  return {};
}

void AppUnix::repair() {
  if (fd_ && is_shut_down(fd_.get())) give_up();
  if (!fd_) return;
  if (!listens_ && fd_ && listens(fd_.get())) {
    backlog_ = std::max(backlog_, rules_.backlog);
    listens_ = true;
  }
  if (listens_) repair_app_socket(fd_.get(), backlog_, nonblocking_);
}

int AppUnix::reachable(unsigned, unsigned) const {
  return fd_ && (is_abstract() || file_.is_in_place()) ? fd_.get() : -1;
}

int AppUnix::socket(unsigned, unsigned) const { return listens_ ? fd_.get() : -1; }

std::vector<int> AppUnix::sockets(unsigned set) const {
  if (set != set_ || !listens_) return {};
  return {fd_.get()};
}

}  // namespace liveswap::master
