#include "master/sockets/socket_file.hpp"

#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <utility>

#include "contract/channel.h"
#include "master/sockets/bound_file.hpp"
#include "spawn/fs_identity.hpp"

namespace liveswap::master {

SocketFile::SocketFile(std::string path, std::optional<spawn::Identity> as)
    : path_(std::move(path)), as_(std::move(as)) {
  const spawn::FsIdentity user(as_);
  if (user.error() != 0 || ::lstat(path_.c_str(), &file_) != 0) return;
  make_spare();
}

// A hidden name, which patterns such as *.sock skip.
std::string SocketFile::spare() const {
  const auto slash = path_.rfind('/');
  return path_.substr(0, slash + 1) + LIVESWAP_SPARE_BEFORE + path_.substr(slash + 1) + LIVESWAP_SPARE_AFTER;
}

// The living socket holds the inode, so the number is not reused.
bool SocketFile::is(const struct stat& file) const {
  return !path_.empty() && file.st_dev == file_.st_dev && file.st_ino == file_.st_ino;
}

bool SocketFile::is_at(const std::string& path) const {
  struct stat found {};
  return ::lstat(path.c_str(), &found) == 0 && is(found);
}

bool SocketFile::is_in_place() const { return is_at(path_); }

// Replaces a link that a killed master left. Never follows symbolic links.
void SocketFile::make_spare() const {
  const std::string to = spare();
  if (is_at(to)) return;
  struct stat found {};
  if (::lstat(to.c_str(), &found) == 0 && S_ISSOCK(found.st_mode)) ::unlink(to.c_str());
  // Another process may have replaced the file at the path meanwhile.
  if (::link(path_.c_str(), to.c_str()) == 0 && !is_at(to)) ::unlink(to.c_str());
}

SocketFile::State SocketFile::mend() {
  const spawn::FsIdentity user(as_);
  if (error_ = user.error(); error_ != 0) return State::barred;
  struct stat found {};
  if (::lstat(path_.c_str(), &found) == 0) {
    if (!is(found)) return State::foreign;
    file_ = found;
    make_spare();
    return State::in_place;
  }
  if (errno != ENOENT) {
    error_ = errno;
    return State::barred;
  }
  if (!is_at(spare())) return State::missing;
  if (::link(spare().c_str(), path_.c_str()) == 0) return is_in_place() ? State::mended : State::foreign;
  error_ = errno;
  return errno == EEXIST ? State::foreign : State::barred;
}

int SocketFile::link_as(const std::string& path, const std::optional<spawn::Identity>& as) const {
  const spawn::FsIdentity user(as);
  if (user.error() != 0) return user.error();
  if (is_at(path)) return 0;
  const std::string from = is_in_place() ? path_ : spare();
  return ::link(from.c_str(), path.c_str()) == 0 ? 0 : errno;
}

// rename() between two links of one file does nothing, so the link is made under a third name first.
int SocketFile::link_over(const std::string& from, const std::string& to) {
  const std::string through = to + ".liveswap-new";
  ::unlink(through.c_str());
  if (::link(from.c_str(), through.c_str()) != 0) return errno;
  if (::rename(through.c_str(), to.c_str()) == 0) return 0;
  const int error = errno;
  ::unlink(through.c_str());
  return error;
}

int SocketFile::rename_as(const std::string& to, const std::string& from, bool keep_old,
                          const std::optional<spawn::Identity>& as) const {
  const spawn::FsIdentity user(as);
  if (user.error() != 0) return user.error();
  const bool is_old = is_at(from);
  if (is_at(to)) return keep_old || from == to || !is_old || ::unlink(from.c_str()) == 0 ? 0 : errno;
  if (keep_old || !is_old) {
    const int error = link_over(is_old ? from : path_, to);
    if (error == 0 || !is_old) return error;
  }
  // With fs.protected_hardlinks only the file's owner may link, though others may rename.
  return ::rename(from.c_str(), to.c_str()) == 0 ? 0 : errno;
}

int SocketFile::move(const std::string& to, const std::string& from, bool keep_old,
                     const std::optional<spawn::Identity>& as) {
  if (const int error = rename_as(to, from, keep_old, as); error != 0) return error;
  if (path_ == to) return 0;
  if (const spawn::FsIdentity user(as_); user.error() == 0 && is_at(spare())) ::unlink(spare().c_str());
  as_ = as;
  former_ = std::exchange(path_, to);
  if (const spawn::FsIdentity user(as_); user.error() == 0) make_spare();
  return 0;
}

mode_t SocketFile::mode() const {
  struct stat found {};
  return (::lstat(path_.c_str(), &found) == 0 && is(found) ? found : file_).st_mode & 0777;
}

void SocketFile::set_mode(mode_t mode, const std::optional<spawn::Identity>& as) const {
  const spawn::FsIdentity user(as);
  const auto file = user.error() == 0 ? file_at(path_) : UniqueFd();
  struct stat found {};
  if (file && ::fstat(file.get(), &found) == 0 && S_ISSOCK(found.st_mode) && is(found))
    set_mode_of(file.get(), mode);
}

// rename() between two links of one file does nothing, so the second link goes first.
void SocketFile::hide() {
  const spawn::FsIdentity user(as_);
  if (user.error() != 0 || !is_in_place()) return;
  if (is_at(spare())) ::unlink(spare().c_str());
  ::rename(path_.c_str(), hidden().c_str());
}

void SocketFile::show() {
  const spawn::FsIdentity user(as_);
  struct stat found {};
  if (user.error() != 0 || !is_at(hidden()) || ::lstat(path_.c_str(), &found) == 0) return;
  if (::rename(hidden().c_str(), path_.c_str()) == 0) make_spare();
}

void SocketFile::remove() {
  const spawn::FsIdentity user(as_);
  if (user.error() != 0 || path_.empty()) return;
  // The second link first: a leaving worker recreates the file while that exists.
  for (const std::string& name : {spare(), path_, former_, hidden()})
    if (!name.empty() && is_at(name)) ::unlink(name.c_str());
}

}  // namespace liveswap::master
