#include "master/app_listeners/app_listeners.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstring>

#include "base/file.hpp"
#include "base/log.hpp"
#include "base/text.hpp"
#include "master/app_listeners/app_inet.hpp"
#include "master/app_listeners/app_unix.hpp"
#include "master/app_listeners/worker_identity.hpp"
#include "spawn/fs_identity.hpp"

// Handles the workers' frames.
namespace liveswap::master {
namespace {

// Log lines that one worker can cause.
constexpr unsigned complaints_limit = 10;
// Sockets that one worker may get: one for each endpoint, and more for a Unix socket after a removal of the
// file.
constexpr std::size_t cookies_limit = 4 * LIVESWAP_LISTENERS_MAX;

std::optional<std::uint64_t> cookie_in(const std::string& text) {
  std::uint64_t cookie = 0;
  if (text.size() != sizeof cookie) return std::nullopt;
  std::memcpy(&cookie, text.data(), sizeof cookie);
  return cookie;
}

// The first port that any user may bind.
unsigned unprivileged_start() {
  const auto text = read_small_file("/proc/sys/net/ipv4/ip_unprivileged_port_start", 64);
  const int number = text ? std::atoi(text->c_str()) : 0;
  return text && number >= 0 && number <= 65536 ? static_cast<unsigned>(number) : 1024;
}

// Made as the application's user: all sockets of a SO_REUSEPORT group need the same owner. 0 or an errno.
int make_plain_socket(const BindAddress& address, const std::optional<spawn::Identity>& as,
                      spawn::ReceivedFd& made) {
  const spawn::FsIdentity user(as);
  if (user.error() != 0) return user.error();
  auto fd = UniqueFd::adopt(::socket(address.domain, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd) return errno;
  const int only = address.v6only;
  if (address.domain == AF_INET6) ::setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &only, sizeof only);
  made = std::move(fd);
  return 0;
}

}  // namespace

AppEndpoint* AppListeners::app_endpoint(const Endpoint* endpoint) const {
  const auto& all = listeners_.app_endpoints();
  const auto found = std::find(all.begin(), all.end(), endpoint);
  return found == all.end() ? nullptr : *found;
}

void AppListeners::joined(rollout::WorkerId id, const rollout::AwaitedListeners::Place& place, pid_t pid,
                          const Listeners::Given& given) {
  Worker& worker = workers_[id];
  worker.place = place;
  worker.pid = pid;
  worker.set = listeners_.set_of(given.set);
  worker.lending = given.lending;
  of_slot_[place.slot].insert(id);
  unsettled_.insert(id);
  for (const Lent& one : *lent_to(worker))
    if (const int fd = listening_socket(worker, *one.endpoint); fd >= 0) give(worker, fd, *one.endpoint);
  changed_ = true;
}

void AppListeners::left(rollout::WorkerId id) {
  const auto it = workers_.find(id);
  if (it == workers_.end()) return;
  const unsigned slot = it->second.place.slot;
  workers_.erase(it);
  unsettled_.erase(id);
  of_slot_[slot].erase(id);
  changed_ = true;
  record_again(slot);
}

bool AppListeners::take_frame(rollout::WorkerId id, Frame& frame) {
  Worker& worker = workers_.at(id);
  unsettled_.insert(id);
  UniqueFd descriptor;
  int error = 0;
  switch (frame.kind) {
    // The sender has exited, so the credentials can no longer be verified: refuse.
    case LIVESWAP_BIND: error = frame.posthumous ? ESRCH : bind(worker, frame, descriptor); break;
    case LIVESWAP_LISTEN: error = listen(worker, frame); break;
    case LIVESWAP_UNLISTEN: unlisten(worker, frame); return true;
    case LIVESWAP_OPTION: note_option(worker, frame); return true;
    case LIVESWAP_UNLINK: error = frame.posthumous ? ESRCH : unlink(worker, frame); break;
    case LIVESWAP_RENAME: error = frame.posthumous ? ESRCH : rename(worker, frame, descriptor); break;
    case LIVESWAP_MENDED: mended(worker, frame); return true;
    case LIVESWAP_HANDOFF: error = take_handed_off(id, worker, frame); break;
    case LIVESWAP_WAITS: note_wait(worker, frame); return true;
    default: return false;
  }
  if (error == 0 && (frame.kind == LIVESWAP_BIND || frame.kind == LIVESWAP_LISTEN))
    changed_ = worker.progressed = true;
  if (frame.value <= 0) return true;
  Extras extras;
  extras.count = static_cast<std::uint64_t>(error);
  extras.descriptor = descriptor.get();
  send_(id, LIVESWAP_ANSWER, frame.value, extras);
  return true;
}

void AppListeners::complain(Worker& worker, const std::string& text) const {
  if (worker.complaints == complaints_limit) return;
  log::warning("slot {} pid {}: {}{}", worker.place.slot, worker.pid, text,
               ++worker.complaints == complaints_limit
                   ? " (further such messages for this process are left out)"
                   : "");
}

int AppListeners::complain_of_bind(Worker& worker, const BindAddress& address, int error) const {
  std::string more;
  if (error == EACCES && address.port() != 0)
    more = fmt::format(" for a worker that is not root: --privileged-port {} allows it", address.port());
  if (error == ENOSPC)
    more = fmt::format(": applications have {} listeners already, the limit", LIVESWAP_LISTENERS_MAX);
  complain(worker, fmt::format("cannot bind {}: {}{}", address.text(), error_text(error), more));
  return error;
}

int AppListeners::bind(Worker& worker, Frame& frame, UniqueFd& answer) {
  int error = 0;
  const auto address = BindAddress::parse(frame.text, error);
  if (!address) {
    complain(worker, fmt::format("cannot share an address: {}", error_text(error)));
    return error;
  }
  if (frame.crippled) return EMFILE;
  if (!frame.descriptor) return EBADF;
  if ((worker.ready || worker.draining) && frame.count == 1) return LIVESWAP_TOO_LATE;
  if (error = check_fresh(frame.descriptor.get(), *address); error != 0) return error;
  if (worker.cookies.size() >= cookies_limit || worker.unnamed.size() >= cookies_limit) {
    complain(worker,
             fmt::format("the worker gets no more sockets: it has {} already", worker.cookies.size()));
    return ENOSPC;
  }
  if (error = check_path(worker, frame.sender, address->path()); error != 0) return error;
  auto as = identity_for(worker, frame);
  if (!as) return EPERM;
  return bind_address(worker, {*address, std::move(*as)}, std::move(frame.descriptor), answer);
}

int AppListeners::bind_address(Worker& worker, const BindRequest& request, spawn::ReceivedFd own,
                               UniqueFd& answer) {
  const BindAddress& address = request.address;
  // MPTCP does not support SO_REUSEPORT. Clients fall back to TCP, so a TCP socket replaces this one.
  const bool replaced = address.protocol == IPPROTO_MPTCP;
  if (replaced)
    if (const int error = make_plain_socket(address, request.as, own); error != 0) return error;
  auto& nth = worker.unnamed[address.is_unnamed() ? address.text() : ""];
  Endpoint* endpoint = find(address, nth);
  AppEndpoint* app = app_endpoint(endpoint);
  // This may replace a socket that was shut down.
  if (app) app->repair_of(worker.place.slot);
  if (endpoint) mend(*endpoint);
  int socket = app        ? app->reachable(worker.set, worker.place.slot)
               : endpoint ? listening_socket(worker, *endpoint)
                          : -1;
  const bool held = socket >= 0;
  // A lent listener has no socket for a removed slot, and none for a worker that it is not lent to (a reload
  // adds or removes it just now).
  if (!held && endpoint && !app) return EADDRINUSE;
  if (!held) {
    socket = own.get();
    const int error = app ? app->add(worker.set, worker.place.slot, std::move(own), request.as)
                          : first_bind(worker, request, nth, std::move(own), endpoint);
    if (error != 0) return complain_of_bind(worker, address, error);
  }
  if (held || replaced) answer = UniqueFd::adopt(::fcntl(socket, F_DUPFD_CLOEXEC, 0));
  if ((held || replaced) && !answer) return errno;
  if (address.is_unnamed()) ++nth;
  worker.uses.insert(endpoint);
  give(worker, socket, *endpoint);
  if (auto* file = dynamic_cast<AppUnix*>(endpoint); file && address.path().starts_with('/')) {
    worker.named[file] = address.path();
    // Other workers have renamed the file already, and this one will.
    if (const int error = held ? file->link_as(address.path(), request.as) : 0; error != 0)
      return complain_of_bind(worker, address, error);
  }
  if (const auto use = uses_.find(endpoint); use != uses_.end()) use->second.lifetime.bound();
  return 0;
}

// The configured user, or the one that the worker has become.
Result<std::optional<spawn::Identity>> AppListeners::identity_for(Worker& worker, const Frame& frame) const {
  if (rules_.identity) return rules_.identity;
  auto as = identity_of(worker.pid, frame.sender);
  if (!as) complain(worker, fmt::format("its requests are refused: {}", as.error().text));
  return as;
}

// Whether the master may act for the sender at that path. 0 or an errno.
int AppListeners::check_path(Worker& worker, const Sender& sender, const std::string& path) const {
  if (path.empty() || path.front() == '\0') return 0;
  auto same = check_root_of(worker.pid);
  if (same && sender.pid != worker.pid) same = check_root_of(sender.pid);
  if (!same) complain(worker, fmt::format("{} is left alone: {}", path, same.error().text));
  return same ? 0 : EXDEV;
}

// Ports that only the master's capability allows are not for the workers.
bool AppListeners::may_bind(const std::optional<spawn::Identity>& as, std::uint16_t port) const {
  const bool is_root = as ? as->user == 0 : ::geteuid() == 0;
  return port == 0 || is_root || rules_.privileged_ports.contains(port) || port >= unprivileged_start();
}

// The worker's own sockets block the address, as without a master; other workers' sockets do not
// (AppInet::probe).
bool AppListeners::excludes(const Worker& worker, const BindAddress& address, int fd) const {
  if (address.is_datagram() && socket_option(fd, SOL_SOCKET, SO_REUSEADDR) > 0) return false;
  return std::any_of(worker.uses.begin(), worker.uses.end(), [&](const Endpoint* one) {
    const AppEndpoint* app = app_endpoint(one);
    return app && !address.is_unnamed() && app->excludes(address);
  });
}

std::unique_ptr<AppEndpoint> AppListeners::make_endpoint(const BindAddress& address, unsigned nth) const {
  if (address.is_unix())
    return std::make_unique<AppUnix>(address, nth, AppUnix::Rules{rules_.backlog, rules_.listen_at_once});
  return std::make_unique<AppInet>(address, nth, inet_rules());
}

AppInet::Rules AppListeners::inet_rules() const {
  const auto is_ours = [this](std::uint64_t cookie) {
    return listeners_.has_socket(cookie) ||
           std::find(former_.begin(), former_.end(), cookie) != former_.end();
  };
  return {rules_.per_slot, rules_.backlog, rules_.listen_at_once, is_ours};
}

int AppListeners::first_bind(Worker& worker, const BindRequest& request, unsigned nth, spawn::ReceivedFd own,
                             Endpoint*& endpoint) {
  if (!may_bind(request.as, request.address.port())) return EACCES;
  if (listeners_.app_endpoints().size() >= LIVESWAP_LISTENERS_MAX) return ENOSPC;
  if (excludes(worker, request.address, own.get())) return EADDRINUSE;
  auto made = make_endpoint(request.address, nth);
  const int error = made->add(worker.set, worker.place.slot, std::move(own), request.as);
  if (error != 0) return error;
  endpoint = made.get();
  uses_[endpoint] = {};
  listeners_.take(std::move(made));
  return 0;
}

Endpoint* AppListeners::endpoint_of(const Worker& worker, const std::string& text) const {
  const auto cookie = cookie_in(text);
  if (!cookie || *cookie == 0) return nullptr;
  const auto found = worker.cookies.find(*cookie);
  return found != worker.cookies.end() ? found->second : nullptr;
}

int AppListeners::listen(Worker& worker, const Frame& frame) {
  Endpoint* endpoint = endpoint_of(worker, frame.text);
  if (!endpoint) return EBADF;
  AppEndpoint* app = app_endpoint(endpoint);
  worker.given_up.erase(endpoint);
  // Lent and replaced sockets listen already.
  if (!app || cookie_of(app->held(worker.set, worker.place.slot)) != cookie_in(frame.text)) return 0;
  const int backlog = static_cast<int>(std::min<std::uint64_t>(frame.count, INT_MAX));
  if (const int error = app->listen(worker.set, worker.place.slot, backlog); error != 0) {
    complain(worker, fmt::format("cannot listen on {}: {}", app->address(), error_text(error)));
    return error;
  }
  worker.uses.insert(app);
  uses_[app].lifetime.bound();
  return 0;
}

// The worker's socket of this endpoint, listening or not. -1: none.
int AppListeners::socket_for(const Worker& worker, const Endpoint& endpoint) const {
  const AppEndpoint* app = app_endpoint(&endpoint);
  return app ? app->held(worker.set, worker.place.slot) : listening_socket(worker, endpoint);
}

// -1: none, or the endpoint is not lent to the worker.
int AppListeners::listening_socket(const Worker& worker, const Endpoint& endpoint) const {
  if (app_endpoint(&endpoint)) return endpoint.socket(worker.set, worker.place.slot);
  const Lent* lent = find_lent(lent_to(worker), &endpoint);
  return lent ? endpoint.socket(worker.set, lent->socket_of(worker.place.slot)) : -1;
}

const Lending& AppListeners::lent_to(const Worker& worker) const {
  return worker.lending ? worker.lending : listeners_.lending();
}

void AppListeners::unlisten(Worker& worker, const Frame& frame) {
  Endpoint* endpoint = endpoint_of(worker, frame.text);
  if (!endpoint) return;
  // The worker may have closed a former socket: a Unix socket is bound again after its file was removed.
  const std::uint64_t now = cookie_of(socket_for(worker, *endpoint));
  if (now != cookie_in(frame.text) && worker.cookies.contains(now)) return;
  if (worker.waits.erase(endpoint) > 0) give_up(worker, *endpoint);
  if (worker.uses.erase(endpoint) == 0) return;
  if (const auto use = uses_.find(endpoint); use != uses_.end()) use->second.lifetime.closed(worker.draining);
  changed_ = true;
}

// A lent listener is never dropped; only this worker stops serving.
void AppListeners::give_up(Worker& worker, const Endpoint& endpoint) {
  if (app_endpoint(&endpoint) || worker.draining) return;
  worker.given_up.emplace(&endpoint, std::nullopt);
  changed_ = true;
}

void AppListeners::note_wait(Worker& worker, const Frame& frame) {
  Endpoint* endpoint = endpoint_of(worker, frame.text);
  if (endpoint) worker.given_up.erase(endpoint);
  if (endpoint) worker.waits.insert(endpoint);
  else worker.waits_elsewhere = true;
  changed_ = worker.progressed = true;
}

// An endpoint that is leaving cannot be shared: the next bind makes a new one.
Endpoint* AppListeners::find(const BindAddress& address, unsigned nth) {
  Endpoint* endpoint = listeners_.find(address, nth);
  AppEndpoint* app = app_endpoint(endpoint);
  if (!app || !uses_[app].lifetime.is_leaving()) return endpoint;
  drop(*app);
  return nullptr;
}

}  // namespace liveswap::master
