#include "master/health/prober.hpp"

#include <fmt/format.h>
#include <sys/un.h>

#include <algorithm>

#include "config/address.hpp"
#include "master/health/probe_command.hpp"
#include "master/health/probe_connection.hpp"
#include "master/sockets/sockets.hpp"

namespace liveswap::master {
namespace {

// The address to connect to. Does not block, since a bound address is numeric. connect() to a wildcard
// address goes over loopback.
Result<SocketAddress> reach(const std::string& bound) {
  const auto address = config::parse_address(bound);
  if (!address) return tl::unexpected<Error>(address.error());
  if (address->kind == config::Address::Kind::tcp) return resolve(*address);
  SocketAddress where;
  auto& path = reinterpret_cast<sockaddr_un&>(where.storage);
  path.sun_family = AF_UNIX;
  address->path.copy(path.sun_path, sizeof path.sun_path - 1);
  where.length = sizeof path;
  return where;
}

}  // namespace

unsigned probe_connections(unsigned forks) { return std::clamp(2 * forks, 4u, 32u); }

Prober::Prober(uv_loop_t& loop, std::vector<config::HealthProbe> probes,
               std::vector<Listeners::Bound> listeners, spawn::Request commands, Milliseconds limit,
               Done done)
    : loop_(loop),
      probes_(std::move(probes)),
      listeners_(std::move(listeners)),
      commands_(std::move(commands)),
      limit_(limit),
      done_(std::move(done)),
      nothing_to_do_(loop) {}

void Prober::start(unsigned connections) {
  cancel();
  findings_ = {};
  for (const auto& probe : probes_) begin(probe, connections);
  if (probes_under_way_.empty()) nothing_to_do_.start(Milliseconds(0), [this] { tell(); });
}

void Prober::cancel() {
  probes_under_way_.clear();
  nothing_to_do_.stop();
}

void Prober::begin(const config::HealthProbe& probe, unsigned connections) {
  if (probe.kind == config::HealthProbe::Kind::run) {
    add(
        [&](const Probe::Done& done) {
          return std::make_unique<ProbeCommand>(loop_, commands_, probe.command, limit_, done);
        },
        config::health_text(probe));
    return;
  }
  const auto found = std::find_if(listeners_.begin(), listeners_.end(), [&probe](const auto& listener) {
    return probe.listener.empty() || probe.listener == listener.name;
  });
  const auto where = found == listeners_.end() ? Result<SocketAddress>(fail("there is no such listener"))
                                               : reach(found->address);
  if (!where) {
    ++findings_.made;
    if (findings_.failed++ == 0) findings_.text = config::health_text(probe) + ": " + where.error().text;
    return;
  }
  const auto make = [&](const Probe::Done& done) {
    return std::make_unique<ProbeConnection>(loop_, probe, *where, found->address, limit_, done);
  };
  for (unsigned i = 0; i < connections; ++i)
    add(make, fmt::format("{} ({})", config::health_text(probe), found->address));
}

void Prober::add(const std::function<std::unique_ptr<Probe>(Probe::Done)>& make, const std::string& object) {
  const auto place = probes_under_way_.insert(probes_under_way_.end(), nullptr);
  *place = make([this, place, object](const std::string& failure) { on_done(place, object, failure); });
}

void Prober::on_done(std::list<std::unique_ptr<Probe>>::iterator probe, const std::string& object,
                     const std::string& failure) {
  ++findings_.made;
  if (!failure.empty() && findings_.failed++ == 0) findings_.text = object + ": " + failure;
  probes_under_way_.erase(probe);
  if (probes_under_way_.empty()) tell();
}

// Copies both members first, because `done` may destroy the prober.
void Prober::tell() {
  const Done done = done_;
  const rollout::Probe findings = findings_;
  done(findings);
}

}  // namespace liveswap::master
