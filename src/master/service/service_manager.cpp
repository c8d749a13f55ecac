#include "master/service/service_manager.hpp"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <set>

#include "base/error.hpp"
#include "base/log.hpp"
#include "master/sockets/bind_address.hpp"
#include "systemd/environment.hpp"

namespace liveswap::master {
namespace {

// Details (slots that became ready, sockets that came) are collected for this long.
constexpr Milliseconds details_pace{50};

// While a time limit of the manager runs, the master asks for this much time, this often. The limits of the
// master itself end what takes too long.
constexpr systemd::Microseconds extension = std::chrono::seconds(30);
constexpr Milliseconds extend_every{10'000};

systemd::Microseconds monotonic() {
  return std::chrono::duration_cast<systemd::Microseconds>(
      std::chrono::steady_clock::now().time_since_epoch());
}

}  // namespace

ServiceManager::ServiceManager(uv_loop_t& loop, bool wanted, const rollout::Engine& engine,
                               const Listeners& listeners)
    : engine_(engine),
      listeners_(listeners),
      stored_(listeners.kept()),
      details_(loop),
      limit_(loop),
      watchdog_(loop) {
  const auto address = wanted ? systemd::variable("NOTIFY_SOCKET") : std::nullopt;
  if (!address) return;
  auto socket = systemd::NotifySocket::open(*address);
  if (!socket) {
    log::warning("{}: the service manager is told nothing", socket.error().text);
    return;
  }
  socket_.emplace(std::move(*socket));
  details_.on_due([this] { tell(); });
  limit_.on_due([this] { extend_limit(); });
  watchdog_.on_due([this] { beat(); });
  const auto interval = systemd::watchdog_interval(systemd::variable, ::getpid());
  if (!interval) return;
  beat_every_ = std::max(Milliseconds(1), std::chrono::duration_cast<Milliseconds>(*interval / 2));
  beat();
}

systemd::Phase ServiceManager::phase() const {
  if (engine_.stopping()) return systemd::Phase::stopping;
  if (engine_.generation() == 0) return systemd::Phase::starting;
  return engine_.running() ? systemd::Phase::serving : systemd::Phase::reloading;
}

systemd::Summary ServiceManager::summary() const {
  systemd::Summary found;
  found.state = engine_.state();
  found.phase = engine_.generation() == 0 ? "" : engine_.phase();
  found.goal = engine_.goal_release().path;
  found.path = engine_.release().path;
  found.id = engine_.release().id;
  found.generation = engine_.generation();
  found.slots = engine_.fork_count();
  found.ready = found.slots - std::min<unsigned>(found.slots, engine_.unserved_slots().size());
  std::set<unsigned> upgraded;
  for (const auto& [id, worker] : engine_.workers()) {
    if (worker.state == rollout::WorkerState::draining) ++found.draining;
    if (worker.state == rollout::WorkerState::ready && worker.generation == engine_.goal_generation())
      upgraded.insert(worker.slot);
  }
  found.upgraded = static_cast<unsigned>(upgraded.size());
  return found;
}

void ServiceManager::follow() {
  if (!socket_) return;
  if (announcement_.phase() != phase()) tell();
  else soon();
}

void ServiceManager::begin_reload() {
  if (!socket_ || phase() == systemd::Phase::starting || phase() == systemd::Phase::stopping) return;
  if (send(systemd::reloading(monotonic()))) announcement_.told(systemd::Phase::reloading);
}

void ServiceManager::begin_execution() {
  begin_reload();
  if (beat_every_.count() > 0) beat();
}

void ServiceManager::soon() {
  if (!std::exchange(is_soon_, true)) details_.start(details_pace);
}

void ServiceManager::tell() {
  is_soon_ = false;
  const auto now = phase();
  const auto text = systemd::text_of(summary());
  const auto message = announcement_.next(now, text, monotonic(), ::getpid());
  if (!message.empty() && !send(message)) return soon();
  announcement_.told(now, text);
  const bool was_limited = std::exchange(is_limited_, now != systemd::Phase::serving);
  if (!is_limited_) limit_.stop();
  else if (!was_limited) extend_limit();
  if (!update_store()) soon();
}

void ServiceManager::extend_limit() {
  send(systemd::extend_timeout(extension));
  limit_.start(extend_every);
}

void ServiceManager::beat() {
  send(systemd::watchdog());
  watchdog_.start(beat_every_);
}

// False: the manager's queue is full.
bool ServiceManager::update_store() {
  systemd::StoredSockets wanted;
  std::map<std::string, int> sockets;
  for (const auto& [name, fds] : listeners_.to_keep())
    for (unsigned number = 0; number < fds.size(); ++number) {
      const auto stored = systemd::stored_name({name, number});
      wanted[stored] = cookie_of(fds[number]);
      sockets[stored] = fds[number];
    }
  const auto changes = systemd::changes_of(stored_, wanted);
  for (const auto& name : changes.removed) {
    if (!send(systemd::remove(name))) return false;
    stored_.erase(name);
  }
  for (const auto& name : changes.added) {
    if (!send(systemd::store(name), sockets.at(name))) return false;
    stored_[name] = wanted.at(name);
  }
  return true;
}

// False: try again later. Of other failures (the manager has gone) the log tells.
bool ServiceManager::send(const std::string& text, int fd) {
  const int error = socket_->send(text, fd);
  if (error == EAGAIN || error == ENOBUFS) return false;
  if (error != 0)
    log::seldom({"messages to the service manager", 1}, log::Level::warning, "cannot notify {}: {}",
                socket_->address(), error_text(error));
  return true;
}

}  // namespace liveswap::master
