#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>

#include "master/app_listeners/app_listeners.hpp"
#include "master/sockets/sockets.hpp"
#include "spawn/fs_identity.hpp"

// Files of Unix sockets: unlink() and rename() by applications, and sockets that replace others.
namespace liveswap::master {
namespace {

bool is_path(const std::string& path) {
  return !path.empty() && path.front() == '/' && path.size() < PATH_MAX &&
         path.find('\0') == std::string::npos;
}

}  // namespace

int AppListeners::unlink(Worker& worker, const Frame& frame) const {
  const std::string& path = frame.text;
  if (!is_path(path)) return EINVAL;
  if (const int error = check_path(worker, frame.sender, path); error != 0) return error;
  const auto as = identity_for(worker, frame);
  if (!as) return EPERM;
  const spawn::FsIdentity user(*as);
  if (user.error() != 0) return user.error();
  struct stat file {};
  if (::lstat(path.c_str(), &file) != 0) return errno;
  if (listeners_.is_ours(path, file)) return 0;
  if (!S_ISSOCK(file.st_mode)) return ENOTSOCK;
  return ::unlink(path.c_str()) == 0 ? 0 : errno;
}

// Some servers bind to a temporary name and rename that to the public path, so that the path never is
// missing. All workers do so, but shall share one socket: the first one's socket gets the new name, later
// workers get that socket in exchange for their own.
int AppListeners::rename(Worker& worker, const Frame& frame, UniqueFd& answer) {
  const auto end = frame.text.find('\0');
  if (end == std::string::npos) return EINVAL;
  const std::string from = frame.text.substr(0, end), to = frame.text.substr(end + 1);
  if (!is_path(from) || !is_path(to)) return EINVAL;
  AppUnix* endpoint = nullptr;
  for (Endpoint* one : worker.uses)
    if (auto* file = dynamic_cast<AppUnix*>(one); file && file->is_known_as(from)) endpoint = file;
  if (!endpoint) return LIVESWAP_STAYS_OWN;
  for (const auto& path : {from, to})
    if (const int error = check_path(worker, frame.sender, path); error != 0) return error;
  const auto as = identity_for(worker, frame);
  if (!as) return EPERM;
  Endpoint* there = listeners_.with_file(to);
  if (!there || there == endpoint) return move(worker, *endpoint, {from, to, *as});
  return merge(worker, *endpoint, *there, *as, answer);
}

// The old name stays while other workers have bound and will rename it.
int AppListeners::move(Worker& worker, AppUnix& endpoint, const Renaming& renaming) {
  worker.named.erase(&endpoint);
  record_all_again();
  const bool others = std::any_of(workers_.begin(), workers_.end(), [&](const auto& one) {
    const auto found = one.second.named.find(&endpoint);
    return found != one.second.named.end() && found->second == renaming.from && !one.second.ready &&
           !one.second.draining;
  });
  return endpoint.move(renaming.to, renaming.from, others, renaming.as);
}

int AppListeners::merge(Worker& worker, AppUnix& endpoint, Endpoint& into,
                        const std::optional<spawn::Identity>& as, UniqueFd& answer) {
  mend(into);
  AppEndpoint* app = app_endpoint(&into);
  const int socket =
      app ? app->reachable(worker.set, worker.place.slot) : into.socket(worker.set, worker.place.slot);
  if (socket < 0 ||
      socket_option(socket, SOL_SOCKET, SO_TYPE) != socket_option(endpoint.held(0, 0), SOL_SOCKET, SO_TYPE))
    return LIVESWAP_STAYS_OWN;
  answer = UniqueFd::adopt(::fcntl(socket, F_DUPFD_CLOEXEC, 0));
  if (!answer) return errno;
  into.take_mode(endpoint.mode(), as);
  worker.uses.insert(&into);
  give(worker, socket, into);
  worker.uses.erase(&endpoint);
  worker.named.erase(&endpoint);
  if (const auto use = uses_.find(&into); use != uses_.end()) use->second.lifetime.bound();
  if (!is_used(&endpoint, true)) drop(endpoint);
  changed_ = true;
  return 0;
}

void AppListeners::mended(const Worker& worker, const Frame& frame) const {
  const auto lent = listeners_.lent();
  Endpoint* endpoint = is_path(frame.text) ? listeners_.with_file(frame.text) : nullptr;
  const bool has_it =
      worker.uses.contains(endpoint) || std::find(lent.begin(), lent.end(), endpoint) != lent.end();
  if (endpoint && has_it) endpoint->note_mended();
}

void AppListeners::mend(Endpoint& endpoint) {
  if (const auto report = endpoint.mend_file(); report.kind == FileReport::Kind::replaced)
    replaced(endpoint, report.former);
}

void AppListeners::replaced(Endpoint& endpoint, std::uint64_t former) {
  for (auto& [id, worker] : workers_) {
    const int fd = socket_for(worker, endpoint);
    if (fd < 0 || !worker.cookies.contains(former)) continue;
    Extras extras;
    extras.text = std::string_view(reinterpret_cast<const char*>(&former), sizeof former);
    extras.descriptor = fd;
    give(worker, fd, endpoint);
    send_(id, LIVESWAP_REPLACE, 0, extras);
  }
}

}  // namespace liveswap::master
