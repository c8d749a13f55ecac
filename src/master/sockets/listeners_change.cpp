#include <fmt/format.h>

#include <algorithm>

#include "base/log.hpp"
#include "config/address.hpp"
#include "config/values.hpp"
#include "master/sockets/accept_queue.hpp"
#include "master/sockets/bind_address.hpp"
#include "master/sockets/listeners.hpp"
#include "master/sockets/tcp_endpoint.hpp"
#include "master/sockets/unix_endpoint.hpp"

// Another configuration of the listeners, while workers of the former one serve.
namespace liveswap::master {
namespace {

bool is_live(const std::weak_ptr<const std::vector<Lent>>& one) { return !one.expired(); }

tl::unexpected<Error> fail_wanted(const Listener& wanted, const Error& error) {
  return fail(fmt::format("listener {}: {}", wanted.name, error.text));
}

Result<SocketAddress> resolve_with(const std::map<std::string, std::string>& hosts, config::Address address) {
  if (const auto known = hosts.find(address.host); known != hosts.end()) address.host = known->second;
  return resolve(address);
}

// What an application would bind to reach that address.
BindAddress bind_address(const SocketAddress& where) {
  BindAddress address;
  address.domain = where.storage.ss_family;
  address.type = SOCK_STREAM;
  address.where = where;
  address.v6only = address.domain == AF_INET6 && !where.both_families;
  return address;
}

// nullopt: port 0, which no endpoint has, or the address cannot be found out.
std::optional<BindAddress> address_of_wanted(const Listener& wanted,
                                             const std::map<std::string, std::string>& hosts) {
  const auto parsed = config::parse_address(wanted.address);
  if (!parsed) return std::nullopt;
  if (parsed->kind == config::Address::Kind::unix_path) {
    BindAddress address;
    address.domain = AF_UNIX;
    address.type = SOCK_STREAM;
    return address.set_path(parsed->path) ? std::optional(address) : std::nullopt;
  }
  if (parsed->port == 0) return std::nullopt;
  const auto where = resolve_with(hosts, *parsed);
  return where ? std::optional(bind_address(*where)) : std::nullopt;
}

}  // namespace

// Made late, since endpoints are made in several ways.
const Lending& Listeners::lending() const {
  if (lending_) return lending_;
  auto made = std::make_shared<std::vector<Lent>>();
  for (Endpoint* endpoint : lent()) made->push_back({endpoint, endpoint->name(), endpoint->per_slot()});
  return lending_ = former_ = std::move(made);
}

std::vector<Lending> Listeners::lendings() const {
  std::vector<Lending> found{lending()};
  const auto add = [&](const Lending& one) {
    if (one && std::find(found.begin(), found.end(), one) == found.end()) found.push_back(one);
  };
  add(former_);
  for (const auto& one : lendings_) add(one.lock());
  return found;
}

bool Listeners::is_app(const Endpoint* endpoint) const {
  return std::find(app_endpoints_.begin(), app_endpoints_.end(), endpoint) != app_endpoints_.end();
}

std::vector<Endpoint*> Listeners::current() const {
  auto found = lent();
  found.insert(found.end(), app_endpoints_.begin(), app_endpoints_.end());
  return found;
}

bool Listeners::is_changing() const {
  const auto& lent = *lending();
  return lending_ != former_ || endpoints_.size() > lent_ + app_endpoints_.size() ||
         std::any_of(lent.begin(), lent.end(),
                     [](const Lent& one) { return one.per_slot != one.endpoint->per_slot(); }) ||
         std::any_of(lendings_.begin(), lendings_.end(), [this](const auto& one) {
           const auto live = one.lock();
           return live && live != lending_;
         });
}

// By name and text first, so that each of several listeners with port 0 finds its own.
Listeners::Places Listeners::match(const Wanted& wanted) const {
  Places places(wanted.listen.size(), nullptr);
  const auto take = [&](const auto& fits) {
    for (std::size_t i = 0; i < places.size(); ++i)
      for (Endpoint* one : lent())
        if (!places[i] && std::find(places.begin(), places.end(), one) == places.end() &&
            fits(*one, wanted.listen[i]))
          places[i] = one;
  };
  take([](const Endpoint& one, const Listener& listener) {
    return one.configured() == listener.address && one.name() == listener.name;
  });
  take([](const Endpoint& one, const Listener& listener) { return one.configured() == listener.address; });
  take([&](const Endpoint& one, const Listener& listener) {
    const auto address = address_of_wanted(listener, wanted.hosts);
    return address && one.is_at(*address);
  });
  return places;
}

// A new listener may exclude one that goes (0.0.0.0:80 after 127.0.0.1:80), but none that stays.
Result<void> Listeners::open_new(const Wanted& wanted, Places& places) {
  const auto former = places;
  const auto goes = [&](std::uint64_t cookie) {
    Endpoint* endpoint = with_socket(cookie).endpoint;
    return endpoint && !is_app(endpoint) &&
           std::find(former.begin(), former.end(), endpoint) == former.end() && !endpoint->is_passed();
  };
  for (std::size_t i = 0; i < places.size(); ++i) {
    if (places[i]) continue;
    const Listener& listener = wanted.listen[i];
    const auto parsed = config::parse_address(listener.address);
    if (!parsed) return fail_wanted(listener, parsed.error());
    Result<std::unique_ptr<Endpoint>> made;
    if (parsed->kind == config::Address::Kind::unix_path) {
      made = UnixEndpoint::open(listener, parsed->path, wanted.backlog, live_);
    } else {
      const auto where = resolve_with(wanted.hosts, *parsed);
      if (!where) return fail_wanted(listener, where.error());
      made = TcpEndpoint::open_at(*where, listener, wanted.mode, wanted.backlog, goes);
    }
    if (!made) return fail_wanted(listener, made.error());
    if (is_left_open_) (*made)->leave_open();
    places[i] = made->get();
    endpoints_.push_back(std::move(*made));
    if (auto prepared = places[i]->prepare(live_, slots_); !prepared)
      return fail_wanted(listener, prepared.error());
    places[i]->set_door(Endpoint::Door::held);
  }
  return {};
}

// The service manager's own sockets stay, as at a start.
Result<Lending> Listeners::lend(const Wanted& wanted, Places places) {
  auto made = std::make_shared<std::vector<Lent>>();
  for (std::size_t i = 0; i < places.size(); ++i)
    made->push_back(
        {places[i], wanted.listen[i].name, wanted.mode == ListenMode::reuseport && places[i]->can_spread()});
  for (Endpoint* one : lent()) {
    if (!one->is_passed() || std::find(places.begin(), places.end(), one) != places.end()) continue;
    for (const Lent& other : *made)
      if (other.name == one->name())
        return fail(
            fmt::format("listener {}: the service manager has passed a socket of that name at {}: let "
                        "ListenStream= of the socket unit and the listener agree",
                        one->name(), one->address()));
    made->push_back({one, one->name(), false});
  }
  if (made->size() > config::listeners_limit)
    return fail(
        fmt::format("found {} listeners with those that the service manager has passed, expected at "
                    "most {}",
                    made->size(), config::listeners_limit));
  for (const Lent& one : *made)
    if (one.per_slot)
      if (auto spread = one.endpoint->spread(true, live_, slots_); !spread)
        return fail(fmt::format("listener {}: {}", one.name, spread.error().text));
  return Lending(std::move(made));
}

Result<Lending> Listeners::prepare(const Wanted& wanted) {
  lending();
  auto places = match(wanted);
  const std::size_t before = endpoints_.size();
  auto opened = open_new(wanted, places);
  auto lent = opened ? lend(wanted, std::move(places)) : tl::unexpected<Error>(opened.error());
  if (lent) {
    std::erase_if(lendings_, [](const auto& one) { return !is_live(one); });
    lendings_.push_back(lending_);
    lendings_.push_back(*lent);
    return lent;
  }
  endpoints_.resize(before);
  close_unheld([](Endpoint&) {});
  return lent;
}

void Listeners::take_up(const Lending& lending) {
  lending_ = lending;
  std::vector<std::unique_ptr<Endpoint>> ordered;
  for (const Lent& one : *lending) {
    const auto at = std::find_if(endpoints_.begin(), endpoints_.end(),
                                 [&](const auto& each) { return each.get() == one.endpoint; });
    ordered.push_back(std::move(*at));
    one.endpoint->rename(one.name);
  }
  lent_ = ordered.size();
  for (auto& endpoint : endpoints_)
    if (endpoint) ordered.push_back(std::move(endpoint));
  endpoints_ = std::move(ordered);
}

void Listeners::take_back() {
  if (lending_ != former_) take_up(Lending(former_));
}

// A listener of both configurations keeps its door open, so that connections wait while no worker serves it.
void Listeners::steer_changing(Endpoint& endpoint) {
  if (endpoint.is_abandoned()) return;
  const Lent* present = find_lent(lending_, &endpoint);
  const bool was_there = find_lent(former_, &endpoint) != nullptr;
  const auto found = served_.find(&endpoint);
  std::set<unsigned> served = found == served_.end() ? std::set<unsigned>() : found->second;
  if (served.empty() && !(present && was_there))
    return endpoint.set_door(present || was_there ? Endpoint::Door::held : Endpoint::Door::abandoned);
  for (unsigned slot = 0; served.empty() && slot < steered_; ++slot) served.insert(present->socket_of(slot));
  std::set<unsigned> without;
  for (unsigned number = 0; number < slots_; ++number)
    if (!served.contains(number)) without.insert(number);
  if (auto pointed = endpoint.point(live_, slots_, without); !pointed)
    log::warning("listener {}: {}", endpoint.name(), pointed.error().text);
  endpoint.set_door(Endpoint::Door::open);
}

std::size_t Listeners::waiting_in_parting(const Serving& worker, unsigned slots) {
  if (!is_changing()) return 0;
  std::size_t sum = 0;
  std::vector<const Endpoint*> parting;
  for (const Lent& one : *worker.lending) {
    const Lent* present = find_lent(lending_, one.endpoint);
    const unsigned number = one.socket_of(worker.slot);
    if (present && number < (present->per_slot ? slots : 1)) continue;
    parting.push_back(one.endpoint);
    sum += waiting_at(one.endpoint->socket(live_, number));
  }
  if (!parting.empty() && parting_) sum += parting_->left(parting);
  return sum;
}

void Listeners::close_unheld(const std::function<void(Endpoint&)>& forget) {
  std::erase_if(lendings_, [](const auto& one) { return !is_live(one); });
  std::set<const Endpoint*> used, spread;
  for (const auto& lending : lendings())
    for (const Lent& one : *lending) {
      used.insert(one.endpoint);
      if (one.per_slot) spread.insert(one.endpoint);
    }
  std::erase_if(endpoints_, [&](const auto& one) {
    if (used.contains(one.get()) || is_app(one.get())) return false;
    forget(*one);
    served_.erase(one.get());
    log::info("listener {}: {} is closed", one->name(), one->address());
    return true;
  });
  for (Endpoint* endpoint : lent())
    if (!spread.contains(endpoint)) static_cast<void>(endpoint->spread(false, live_, slots_));
}

std::vector<std::string> Listeners::addresses_lent() const {
  std::vector<std::string> found;
  for (const auto& endpoint : endpoints_)
    if (!is_app(endpoint.get())) found.push_back(endpoint->address());
  return found;
}

std::vector<int> Listeners::sockets_of(const Endpoint& endpoint) const {
  std::vector<int> found;
  for (unsigned set = 0; set < holds_.size(); ++set)
    for (const int fd : endpoint.sockets(set))
      if (fd >= 0) found.push_back(fd);
  return found;
}

void Listeners::set_backlog(int backlog) {
  for (const auto& endpoint : endpoints_)
    if (!endpoint->is_abandoned()) endpoint->set_backlog(backlog);
}

std::vector<Listeners::Bound> Listeners::leaving() const {
  std::vector<Bound> found;
  for (std::size_t i = lent_; i < endpoints_.size(); ++i)
    if (!is_app(endpoints_[i].get()))
      found.push_back({endpoints_[i]->name(), endpoints_[i]->address(), false});
  return found;
}

}  // namespace liveswap::master
