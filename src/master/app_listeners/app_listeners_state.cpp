#include "master/app_listeners/app_listeners.hpp"
#include "master/state/socket_state.hpp"

// The application listeners as plain values, for the next image of the program.
namespace liveswap::master {
namespace {

// By ascending numbers. An endpoint that is being closed has none.
template <class Endpoints>
std::vector<unsigned> numbers_of(const Listeners& listeners, const Endpoints& endpoints) {
  std::vector<unsigned> found;
  for (const Endpoint* one : endpoints) found.push_back(listeners.number_of(*one));
  return found;
}

}  // namespace

state::AppListenersState AppListeners::save() const {
  state::AppListenersState into;
  for (const auto& [id, worker] : workers_) {
    state::AppWorkerState& one = into.workers.emplace_back();
    one.id = id;
    one.facts = worker;
    one.lending = listeners_.number_of(lent_to(worker));
    one.waits = numbers_of(listeners_, worker.waits);
    one.uses = numbers_of(listeners_, worker.uses);
    for (const auto& [endpoint, since] : worker.given_up)
      one.given_up.emplace_back(listeners_.number_of(*endpoint), since);
    for (const auto& [cookie, endpoint] : worker.cookies)
      one.cookies.emplace_back(cookie, listeners_.number_of(*endpoint));
    for (const auto& [endpoint, path] : worker.named)
      one.named.emplace_back(listeners_.number_of(*endpoint), path);
  }
  for (const auto& [endpoint, use] : uses_)
    into.uses.push_back({listeners_.number_of(*endpoint), use.lifetime, use.told});
  into.options = options_;
  into.stuck_options = stuck_options_;
  into.former.assign(former_.begin(), former_.end());
  into.awaited = awaited_;
  return into;
}

std::unique_ptr<AppEndpoint> AppListeners::make_endpoint(const state::EndpointState& from) const {
  if (from.kind == state::EndpointState::Kind::app_unix)
    return std::make_unique<AppUnix>(from, AppUnix::Rules{rules_.backlog, rules_.listen_at_once});
  return std::make_unique<AppInet>(from, inet_rules());
}

void AppListeners::adopt(const state::AppListenersState& from, const state::ListenersState& listeners) {
  const auto lendings =
      listeners_.adopt_others(listeners, [this](const auto& endpoint) { return make_endpoint(endpoint); });
  for (const auto& one : from.workers) {
    Worker& worker = workers_[one.id];
    static_cast<state::AppWorkerFacts&>(worker) = one.facts;
    worker.lending = lendings.at(one.lending);
    of_slot_[worker.place.slot].insert(one.id);
    unsettled_.insert(one.id);
    for (const unsigned number : one.waits) worker.waits.insert(listeners_.numbered(number));
    for (const unsigned number : one.uses) worker.uses.insert(listeners_.numbered(number));
    for (const auto& [number, since] : one.given_up)
      worker.given_up.emplace(listeners_.numbered(number), since);
    for (const auto& [cookie, number] : one.cookies) worker.cookies[cookie] = listeners_.numbered(number);
    for (const auto& [number, path] : one.named) worker.named[listeners_.numbered(number)] = path;
  }
  for (const auto& one : from.uses) {
    Use& use = uses_[listeners_.numbered(one.endpoint)];
    use.lifetime = one.lifetime;
    use.told = one.told;
  }
  options_ = from.options;
  stuck_options_ = from.stuck_options;
  former_.assign(from.former.begin(), from.former.end());
  awaited_ = from.awaited.with(rules_.awaited);
  changed_ = true;
}

}  // namespace liveswap::master
