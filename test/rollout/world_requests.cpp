#include "world.hpp"

namespace liveswap::rollout {

void World::boot() {
  UpgradeRequest wish;
  wish.pace = plan_.settings;
  wish.path = "path";
  if (!plan_.prepares_boot) wish.release = any_release();
  rules_.boots(now_, wish);
  tell(Cause::request, "boot", 0, [&] { return engine_.boot(now_, wish); });
}

void World::request_at(Time at, const Request& request) {
  ++requests_ahead_;
  later(at, [this, request] {
    --requests_ahead_;
    this->request(request);
  });
}

void World::request(const Request& request) {
  using Kind = Request::Kind;
  if (quit()) return;
  const RequestId id = ++last_request_;
  if (request.kind == Kind::upgrade) {
    ask_for_upgrade(id, request);
    return;
  }
  rules_.wished(now_, request.kind, id);
  switch (request.kind) {
    case Kind::upgrade: return;
    case Kind::promote:
      tell(Cause::request, "promote", id, [&] { return engine_.promote(now_, id); });
      return;
    case Kind::abort: tell(Cause::request, "abort", id, [&] { return engine_.abort(now_, id); }); return;
    case Kind::kill: tell(Cause::request, "kill", id, [&] { return engine_.kill(now_, id); }); return;
    case Kind::forks:
      tell(Cause::request, "forks", request.forks, [&] { return engine_.forks(now_, id, request.forks); });
      return;
    case Kind::stop: tell(Cause::request, "stop", id, [&] { return engine_.stop(now_, id, false); }); return;
    case Kind::die: tell(Cause::request, "die", id, [&] { return engine_.stop(now_, id, true); }); return;
  }
}

void World::ask_for_upgrade(RequestId id, const Request& request) {
  UpgradeRequest wish;
  wish.path = "path";
  wish.pace = request.pace;
  wish.queue = request.queue;
  wish.overtake = request.overtake;
  if (request.stored) wish.release = any_release();
  rules_.wished(now_, Request::Kind::upgrade, id, wish);
  tell(Cause::request,
       wish.overtake ? "upgrade, overtaking"
       : wish.queue  ? "upgrade, queued"
                     : "upgrade",
       id, [&] { return engine_.upgrade(now_, id, wish); });
}

// Sometimes the release is the current one, or an earlier one.
Release World::any_release() {
  const bool same = release_count_ > 0 && dice_.chance(15);
  const long number = same ? dice_.between(1, static_cast<long>(release_count_)) : ++release_count_;
  const std::string id = "r" + std::to_string(number);
  return {"path of " + id, id};
}

const World::Nurture& World::nurture(const Release& release) {
  const auto it = releases_.find(release.id);
  if (it != releases_.end()) return it->second;
  // The first release is mostly sound: a schedule in which nothing runs tests little.
  const bool first = releases_.empty() && dice_.chance(90);
  const Character character = first ? Character::sound : draw_character(dice_, plan_);
  const auto size = static_cast<std::uint64_t>(dice_.between(5, 15));
  return releases_.emplace(release.id, Nurture{character, size}).first->second;
}

}  // namespace liveswap::rollout
