#include "load/pool.hpp"

#include <sys/epoll.h>

#include <algorithm>
#include <cerrno>

namespace liveswap::load {

Pool::Picked Pool::pick() {
  if (entries_.size() >= limits_.wanted) {
    if (const Id id = pick_idle()) return {id, 0};
  }
  if (entries_.size() >= limits_.most) return {};
  Dialed dialed = dialer_.dial();
  if (dialed.error != 0) return {0, dialed.error};
  const Id id = next_id_++;
  entries_.try_emplace(id, Entry{Connection(std::move(dialed), make_reader_(), limits_.ends_after_request)});
  ++counts_.opened;
  counts_.most_open = std::max<std::uint64_t>(counts_.most_open, entries_.size());
  return {id, 0};
}

// Skips connections that the server has already closed, as every client does. If the server closes after this
// check, the request fails: this is the race that the load generator has to count.
Pool::Id Pool::pick_idle() {
  while (!idle_.empty()) {
    const Id id = idle_.front();
    if (dismiss_unless_quiet(id)) continue;
    idle_.pop_front();
    ++counts_.reused;
    return id;
  }
  return 0;
}

bool Pool::dismiss_unless_quiet(Id id) {
  switch (entries_.at(id).connection.look_while_idle()) {
    case Connection::Idle::quiet: return false;
    case Connection::Idle::closed: ++counts_.idle_closed; break;
    case Connection::Idle::reset: ++counts_.idle_reset; break;
    case Connection::Idle::garbage: ++counts_.idle_garbage; break;
  }
  std::erase(idle_, id);
  drop(id);
  return true;
}

Connection* Pool::find(Id id) {
  const auto found = entries_.find(id);
  return found == entries_.end() ? nullptr : &found->second.connection;
}

int Pool::watch(Id id) {
  Entry& entry = entries_.at(id);
  epoll_event event{};
  event.events = entry.connection.wants_write() ? EPOLLOUT : EPOLLIN;
  event.data.u64 = id;
  if (entry.watched == event.events) return 0;
  const int operation = entry.watched == 0 ? EPOLL_CTL_ADD : EPOLL_CTL_MOD;
  if (::epoll_ctl(epoll_, operation, entry.connection.fd(), &event) != 0) return errno;
  entry.watched = event.events;
  return 0;
}

void Pool::give_back(Id id, bool sound, bool needed) {
  const bool told = entries_.at(id).connection.answer().close;
  if (limits_.keep_alive && sound && !told && (needed || entries_.size() <= limits_.wanted) &&
      watch(id) == 0) {
    idle_.push_back(id);
    return;
  }
  if (limits_.keep_alive && sound && told) ++counts_.closed_as_told;
  drop(id);
}

void Pool::on_idle_event(Id id) { dismiss_unless_quiet(id); }

}  // namespace liveswap::load
