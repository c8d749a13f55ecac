#include "master/sockets/endpoint.hpp"

#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "base/log.hpp"
#include "base/text.hpp"
#include "base/unique_fd.hpp"
#include "master/sockets/accept_queue.hpp"
#include "master/sockets/sockets.hpp"
#include "master/state/socket_state.hpp"
#include "spawn/received_fd.hpp"

namespace liveswap::master {
namespace {

// For an accept queue of unknown length; the kernel's default maximum is below (net.core.somaxconn).
constexpr std::size_t queue_limit = 4096;

// A reset, not an end of file: tells the client that the request was not read. By connect(AF_UNSPEC),
// because spawn::ReceivedFd removes SO_LINGER {1, 0}.
void reset_connection(int fd) {
  sockaddr nowhere{};
  nowhere.sa_family = AF_UNSPEC;
  static_cast<void>(::connect(fd, &nowhere, sizeof nowhere));
}

std::string directory_of(const std::string& path) { return path.substr(0, path.rfind('/') + 1); }

}  // namespace

Endpoint::Endpoint(const state::EndpointState& from)
    : name_(from.name),
      was_mended_(from.was_mended),
      is_left_open_(from.left_open),
      door_(from.door),
      lost_(from.lost) {}

void Endpoint::save(state::EndpointState& into) const {
  into.name = name_;
  into.was_mended = was_mended_;
  into.left_open = is_left_open_;
  into.lost = lost_;
  into.door = door_;
}

bool same_entry(const std::string& one, const std::string& other) {
  if (one == other) return true;
  struct stat here {
  }, there{};
  return one.substr(one.rfind('/') + 1) == other.substr(other.rfind('/') + 1) &&
         ::stat(directory_of(one).c_str(), &here) == 0 && ::stat(directory_of(other).c_str(), &there) == 0 &&
         here.st_dev == there.st_dev && here.st_ino == there.st_ino;
}

void Endpoint::set_door(Door door) {
  if (door == door_ || is_abandoned()) return;
  if (door == Door::abandoned) is_left_open_ = false;
  move_door(door);
  door_ = door;
}

// Bounded: clients may connect as fast as this loop accepts.
void Endpoint::turn_away(int fd) const {
  std::size_t count = 0;
  const std::size_t limit = accept_queue(fd).value_or(queue_limit);
  end_blocking(fd);
  for (; count < limit && has_waiting_connection(fd); ++count) {
    const spawn::ReceivedFd client(UniqueFd::adopt(::accept4(fd, nullptr, nullptr, SOCK_CLOEXEC)));
    if (!client) break;
    reset_connection(client.get());
  }
  tell_reset(count);
}

void Endpoint::tell_reset(std::size_t count) const {
  if (count > 0)
    log::seldom({"connections that no worker is left for", 100}, log::Level::warning,
                "listener {}: reset {} that no worker is left for", name_, plural(count, "connection"));
}

FileReport Endpoint::mend(SocketFile& file, const std::function<Result<std::uint64_t>()>& replace) {
  using Kind = FileReport::Kind;
  const auto cannot = [this](const std::string& why) {
    return report_file(Kind::lost, "its file was removed, and cannot be made again: " + why);
  };
  switch (file.mend()) {
    case SocketFile::State::in_place: return report_file(Kind::fine);
    case SocketFile::State::mended: return report_file(Kind::mended);
    case SocketFile::State::barred: return cannot(error_text(file.error()));
    case SocketFile::State::foreign:
      return report_file(Kind::lost,
                         "another file is at its path and is left alone: remove that file, and the "
                         "listener's is made again");
    case SocketFile::State::missing: break;
  }
  const auto former = replace();
  if (!former) return cannot(former.error().text);
  return report_file(Kind::replaced,
                     "its file was removed with every link to it: another socket is in its place", *former);
}

// Logs what has changed. `text`: not for fine or mended. A lost file is checked repeatedly but reported once.
FileReport Endpoint::report_file(FileReport::Kind kind, std::string text, std::uint64_t former) {
  if (std::exchange(was_mended_, false) && kind == FileReport::Kind::fine) kind = FileReport::Kind::mended;
  if (kind == FileReport::Kind::mended) text = "its file was removed, and has been made again";
  const bool is_lost = kind == FileReport::Kind::lost;
  const bool is_new = std::exchange(lost_, is_lost ? text : "") != text;
  const log::Kind of_files{"files of Unix sockets", 100};
  if (is_lost && is_new) log::seldom(of_files, log::Level::error, "listener {}: {}", name_, text);
  if (!is_lost && !text.empty()) log::seldom(of_files, log::Level::warning, "listener {}: {}", name_, text);
  return {kind, text, former};
}

void Endpoint::shut_down(int fd) const {
  const std::size_t waiting = accept_queue(fd).value_or(0);
  const bool is_internet = address_of(fd).storage.ss_family != AF_UNIX;
  ::shutdown(fd, SHUT_RDWR);
  // The kernel has reset the connections in an internet socket's queue.
  if (is_internet) tell_reset(waiting);
  else turn_away(fd);
}

bool Endpoint::repair_socket(int fd, int backlog, bool nonblocking) const {
  const log::Kind kind{"listeners that an application has shut down", 100};
  const bool listens = socket_option(fd, SOL_SOCKET, SO_ACCEPTCONN) == 1;
  if (!listens)
    log::seldom(kind, log::Level::warning,
                "listener {}: an application has shut the shared socket down; listening again", name_);
  // On a listening socket this only sets the backlog.
  if (::listen(fd, backlog) != 0)
    log::seldom(kind, log::Level::error, "cannot listen again on {}: {}", address(), error_text(errno));
  if (nonblocking && !is_nonblocking(fd)) end_blocking(fd);
  return !listens;
}

}  // namespace liveswap::master
