#include "master/sockets/listeners.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/log.hpp"
#include "config/address.hpp"
#include "master/sockets/accept_queue.hpp"
#include "master/sockets/passed_endpoint.hpp"
#include "master/sockets/tcp_endpoint.hpp"
#include "master/sockets/unix_endpoint.hpp"
#include "master/state/socket_state.hpp"

namespace liveswap::master {
namespace {

Result<std::unique_ptr<Endpoint>> open_endpoint(const Listener& wanted, ListenMode mode, int backlog,
                                                PassedListeners& passed) {
  if (auto socket = passed.take_activated(wanted.name))
    return std::make_unique<PassedEndpoint>(wanted.name, std::move(socket), backlog);
  auto stored = passed.take_stored(wanted.name);
  const auto address = config::parse_address(wanted.address);
  if (!address) return tl::unexpected<Error>(address.error());
  if (address->kind == config::Address::Kind::unix_path)
    return stored.empty() ? UnixEndpoint::open(wanted, address->path, backlog)
                          : UnixEndpoint::go_on(wanted, address->path, backlog, std::move(stored.front()));
  if (!stored.empty()) return TcpEndpoint::go_on(wanted, mode, backlog, std::move(stored));
  return TcpEndpoint::open(wanted, mode, backlog);
}

// Kinds that applications bind are not lent.
std::unique_ptr<Endpoint> adopt_endpoint(const state::EndpointState& from) {
  using Kind = state::EndpointState::Kind;
  if (from.kind == Kind::tcp) return std::make_unique<TcpEndpoint>(from);
  if (from.kind == Kind::passed) return std::make_unique<PassedEndpoint>(from);
  return std::make_unique<UnixEndpoint>(from);
}

bool is_of_application(const state::EndpointState& one) {
  using Kind = state::EndpointState::Kind;
  return one.kind == Kind::app_inet || one.kind == Kind::app_unix;
}

tl::unexpected<Error> fail_listener(const std::string& name, const Error& error) {
  return fail(fmt::format("listener {}: {}", name, error.text));
}

}  // namespace

Result<Listeners> Listeners::open(const std::vector<Listener>& wanted, ListenMode mode, int backlog,
                                  unsigned slots, PassedListeners passed) {
  Listeners listeners;
  listeners.kept_ = passed.in_store();
  listeners.holds_.push_back(std::make_shared<const int>(0));
  listeners.slots_ = listeners.steered_ = slots;
  for (const Listener& one : wanted) {
    Listener named = one;
    if (named.name.empty()) named.name = std::to_string(listeners.endpoints_.size());
    auto endpoint = open_endpoint(named, mode, backlog, passed);
    if (!endpoint) return fail_listener(named.name, endpoint.error());
    if (auto made = (*endpoint)->prepare(0, slots); !made) return fail_listener(named.name, made.error());
    listeners.endpoints_.push_back(std::move(*endpoint));
  }
  listeners.lent_ = listeners.endpoints_.size();
  return listeners;
}

Listeners Listeners::adopt(const state::ListenersState& from) {
  Listeners listeners;
  for (unsigned set = 0; set < from.sets; ++set) listeners.holds_.push_back(std::make_shared<const int>(0));
  listeners.live_ = from.live;
  listeners.staged_ = from.staged;
  listeners.slots_ = from.slots;
  listeners.steered_ = from.steered;
  listeners.without_ = from.without;
  listeners.lent_ = from.lent;
  listeners.kept_ = from.kept;
  for (std::size_t i = 0; i < from.lent; ++i)
    listeners.endpoints_.push_back(adopt_endpoint(from.endpoints.at(i)));
  return listeners;
}

std::vector<Lending> Listeners::adopt_others(const state::ListenersState& from, const MakeApp& make) {
  for (std::size_t i = lent_; i < from.endpoints.size(); ++i)
    if (is_of_application(from.endpoints[i])) take(make(from.endpoints[i]));
    else endpoints_.push_back(adopt_endpoint(from.endpoints[i]));
  std::vector<Lending> made;
  for (const auto& lending : from.lendings) {
    auto lent = std::make_shared<std::vector<Lent>>();
    for (const auto& [endpoint, name, per_slot] : lending)
      lent->push_back({numbered(endpoint), name, per_slot});
    made.push_back(std::move(lent));
  }
  if (made.empty()) made.push_back(lending());
  lending_ = made.front();
  former_ = made.at(from.former);
  lendings_.assign(made.begin(), made.end());
  return made;
}

state::ListenersState Listeners::save(bool flips) const {
  state::ListenersState into;
  for (const auto& endpoint : endpoints_) endpoint->save(into.endpoints.emplace_back());
  into.lent = lent_;
  into.sets = static_cast<unsigned>(holds_.size());
  into.live = live_;
  if (flips) into.staged = staged_;
  into.slots = slots_;
  into.steered = steered_;
  into.without = without_;
  for (const auto& lending : lendings()) {
    auto& lent = into.lendings.emplace_back();
    for (const Lent& one : *lending) lent.push_back({number_of(*one.endpoint), one.name, one.per_slot});
  }
  into.former = number_of(former());
  return into;
}

unsigned Listeners::number_of(const Endpoint& endpoint) const {
  const auto found = std::find_if(endpoints_.begin(), endpoints_.end(),
                                  [&](const auto& one) { return one.get() == &endpoint; });
  return static_cast<unsigned>(found - endpoints_.begin());
}

unsigned Listeners::number_of(const Lending& lending) const {
  const auto all = lendings();
  return static_cast<unsigned>(std::find(all.begin(), all.end(), lending) - all.begin());
}

Result<void> Listeners::grow(unsigned slots) {
  for (auto& endpoint : endpoints_) {
    if (endpoint->is_abandoned()) continue;
    auto made = endpoint->prepare(live_, slots);
    if (made && staged_) made = endpoint->prepare(*staged_, slots);
    if (made) continue;
    shrink(slots_);
    return fail_listener(endpoint->name(), made.error());
  }
  slots_ = std::max(slots_, slots);
  steer(slots_, without_);
  return {};
}

void Listeners::shrink(unsigned slots) {
  slots_ = std::min(slots_, slots);
  for (auto& endpoint : endpoints_)
    if (!endpoint->is_abandoned()) endpoint->shrink(slots);
}

void Listeners::steer(unsigned slots, const std::set<unsigned>& without,
                      const std::vector<Serving>& serving) {
  steered_ = slots;
  without_ = without;
  served_.clear();
  for (const auto& [slot, lending] : serving)
    for (const Lent& one : *lending) served_[one.endpoint].insert(one.socket_of(slot));
  steer_again();
}

void Listeners::steer_again() {
  const bool changing = is_changing();
  for (auto& endpoint : endpoints_) {
    if (changing && !is_app(endpoint.get())) steer_changing(*endpoint);
    else if (auto pointed = endpoint->point(live_, steered_, without_); !pointed)
      log::warning("listener {}: {}", endpoint->name(), pointed.error().text);
  }
}

bool Listeners::is_free(unsigned set) const {
  return set != live_ && set != staged_ && holds_[set].use_count() == 1;
}

Result<void> Listeners::stage() {
  unstage();
  unsigned set = 0;
  while (set < holds_.size() && !is_free(set)) ++set;
  if (set == holds_.size()) holds_.push_back(std::make_shared<const int>(0));
  const auto current = this->current();
  for (Endpoint* endpoint : current) {
    // Resets connections that arrived after the set's last worker had exited.
    endpoint->retire(set);
    if (auto made = endpoint->prepare(set, slots_); !made) {
      for (Endpoint* one : current) one->retire(set);
      return fail_listener(endpoint->name(), made.error());
    }
  }
  staged_ = set;
  return {};
}

void Listeners::unstage() {
  if (!staged_) return;
  for (Endpoint* endpoint : current()) endpoint->retire(*staged_);
  staged_.reset();
}

Result<void> Listeners::flip() {
  if (!staged_) return fail("cannot flip: no second set of sockets has been made; stage() comes first");
  const auto current = this->current();
  for (Endpoint* endpoint : current) {
    const auto pointed = endpoint->point(*staged_, steered_, {});
    if (pointed) continue;
    for (Endpoint* before : current) {
      if (before == endpoint) break;
      if (auto back = before->point(live_, steered_, without_); !back)
        log::error("listener {}: stays with the new workers: {}", before->name(), back.error().text);
    }
    return fail_listener(endpoint->name(), pointed.error());
  }
  for (Endpoint* endpoint : current) endpoint->settle();
  live_ = *staged_;
  staged_.reset();
  without_.clear();
  pending_handshakes_.emplace();
  return {};
}

std::size_t Listeners::waiting_in_old() {
  std::size_t sum = 0;
  bool held = false;
  for (unsigned set = 0; set < holds_.size(); ++set) {
    if (set == live_ || set == staged_ || is_free(set)) continue;
    held = true;
    for (const auto& endpoint : endpoints_)
      for (const int fd : endpoint->sockets(set)) sum += waiting_at(fd);
  }
  if (held && pending_handshakes_) {
    const auto all = current();
    const std::size_t coming = pending_handshakes_->left({all.begin(), all.end()});
    if (coming == 0) pending_handshakes_.reset();
    sum += coming;
  }
  return sum;
}

std::size_t Listeners::waiting(unsigned slot) const {
  std::size_t sum = 0;
  for (const auto& endpoint : endpoints_)
    for (unsigned set = 0; set < holds_.size() && endpoint->per_slot(); ++set)
      if (const auto sockets = endpoint->sockets(set); slot < sockets.size())
        sum += waiting_at(sockets[slot]);
  return sum;
}

std::vector<Listeners::Depth> Listeners::depth() const {
  std::vector<Depth> found;
  for (const auto& endpoint : endpoints_) {
    std::optional<std::size_t> sum = 0;
    for (unsigned set = 0; set < holds_.size(); ++set)
      for (const int fd : endpoint->sockets(set)) {
        if (fd < 0) continue;
        const auto queue = accept_queue(fd);
        sum = sum && queue ? std::optional(*sum + *queue) : std::nullopt;
      }
    found.push_back({endpoint->name(), sum});
  }
  return found;
}

void Listeners::repair() {
  for (auto& endpoint : endpoints_) endpoint->repair();
  retire_free_sets();
}

void Listeners::repair_of(unsigned slot) {
  for (auto& endpoint : endpoints_) endpoint->repair_of(slot);
  retire_free_sets();
}

void Listeners::retire_free_sets() {
  for (auto& endpoint : endpoints_)
    for (unsigned set = 0; set < holds_.size(); ++set)
      if (is_free(set)) endpoint->retire(set);
}

std::vector<int> Listeners::of_slot(const Lending& lending, unsigned slot, bool staged) const {
  std::vector<int> found;
  for (const Lent& one : *lending) found.push_back(one.endpoint->socket(set_of(staged), one.socket_of(slot)));
  return found;
}

Listeners::Hold Listeners::hold(bool staged) const { return holds_[set_of(staged)]; }

unsigned Listeners::set_of(const Hold& hold) const {
  const auto found = std::find_if(holds_.begin(), holds_.end(), [&](const auto& one) { return one == hold; });
  return static_cast<unsigned>(found - holds_.begin());
}

std::vector<Endpoint*> Listeners::lent() const {
  std::vector<Endpoint*> found;
  for (std::size_t i = 0; i < lent_; ++i) found.push_back(endpoints_[i].get());
  return found;
}

template <class Tell>
void Listeners::each_socket(const Tell& tell) const {
  for (const auto& endpoint : endpoints_)
    for (unsigned set = 0; set < holds_.size(); ++set)
      for (const int fd : endpoint->sockets(set))
        if (fd >= 0) tell(*endpoint, fd);
}

ListeningPlaces Listeners::places() const {
  ListeningPlaces places;
  // The sockets of a set have one address.
  for (const auto& endpoint : endpoints_)
    for (unsigned set = 0; set < holds_.size(); ++set) {
      const auto sockets = endpoint->sockets(set);
      const auto first = std::find_if(sockets.begin(), sockets.end(), [](int fd) { return fd >= 0; });
      if (first != sockets.end()) places.add(*first);
    }
  return places;
}

ListeningSockets Listeners::listening() const {
  ListeningSockets found;
  each_socket([&](const Endpoint& endpoint, int fd) { found[socket_inode(fd)] = endpoint.name(); });
  return found;
}

std::vector<Listeners::Kept> Listeners::to_keep() const {
  std::vector<Kept> found;
  for (const Lent& one : *former()) found.push_back({one.name, one.endpoint->to_keep()});
  return found;
}

void Listeners::leave_open() {
  is_left_open_ = true;
  for (const auto& endpoint : endpoints_) endpoint->leave_open();
}

std::string Listeners::names(const Lending& lending) {
  std::string list;
  for (const Lent& one : *lending) list += (list.empty() ? "" : ",") + one.name;
  return list;
}

std::vector<Listeners::Bound> Listeners::bound() const {
  std::vector<Bound> found;
  for (const Endpoint* endpoint : lent()) found.push_back({endpoint->name(), endpoint->address(), false});
  for (const AppEndpoint* endpoint : app_endpoints_)
    if (endpoint->in_use()) found.push_back({endpoint->name(), endpoint->address(), true});
  return found;
}

void Listeners::take(std::unique_ptr<AppEndpoint> endpoint) {
  app_endpoints_.push_back(endpoint.get());
  endpoints_.push_back(std::move(endpoint));
}

void Listeners::drop(const AppEndpoint& endpoint) {
  std::erase(app_endpoints_, &endpoint);
  std::erase_if(endpoints_, [&](const auto& one) { return one.get() == &endpoint; });
}

Endpoint* Listeners::find(const BindAddress& address, unsigned nth) const {
  for (const auto& endpoint : endpoints_)
    if (!is_app(endpoint.get()) && !address.is_unnamed() && endpoint->is_at(address)) return endpoint.get();
  for (AppEndpoint* endpoint : app_endpoints_)
    if (endpoint->is_for(address, nth)) return endpoint;
  return nullptr;
}

Listeners::Found Listeners::with_socket(std::uint64_t cookie) const {
  Found found;
  each_socket([&](Endpoint& endpoint, int fd) {
    if (cookie_of(fd) == cookie) found = {&endpoint, fd};
  });
  return found;
}

bool Listeners::has_socket(std::uint64_t cookie) const {
  return with_socket(cookie).endpoint ||
         std::any_of(app_endpoints_.begin(), app_endpoints_.end(), [cookie](const AppEndpoint* endpoint) {
           const auto all = endpoint->cookies();
           return std::find(all.begin(), all.end(), cookie) != all.end();
         });
}

bool Listeners::is_ours(const std::string& path, const struct stat& file) const {
  return std::any_of(endpoints_.begin(), endpoints_.end(), [&](const auto& one) {
    return !one->is_abandoned() && one->is_file(file) && one->is_known_as(path);
  });
}

Endpoint* Listeners::with_file(const std::string& path) const {
  struct stat file {};
  const bool is_there = ::lstat(path.c_str(), &file) == 0;
  for (const auto& one : endpoints_)
    if (!one->is_abandoned() && (one->file() == path || (is_there && one->is_file(file)))) return one.get();
  return nullptr;
}

std::vector<Listeners::Mended> Listeners::mend_files() {
  std::vector<Mended> found;
  for (const auto& endpoint : endpoints_)
    if (auto report = endpoint->mend_file(); report.kind != FileReport::Kind::fine)
      found.push_back({endpoint.get(), std::move(report)});
  return found;
}

std::vector<std::string> Listeners::watched() const {
  std::vector<std::string> found;
  for (const auto& endpoint : endpoints_)
    for (auto& name : endpoint->watched()) found.push_back(std::move(name));
  return found;
}

}  // namespace liveswap::master
