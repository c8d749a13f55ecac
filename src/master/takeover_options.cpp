#include <fmt/format.h>
#include <netinet/tcp.h>

#include <cstddef>
#include <cstring>

#include "base/log.hpp"
#include "contract/channel.h"
#include "master/sockets.hpp"
#include "master/takeover.hpp"

// Options that applications set on listeners: whose they are, and what becomes of them when that release has gone.
namespace liveswap::master {
namespace {

// Of one that sets keys for many addresses.
constexpr std::size_t options_limit = 512;

// A key of TCP_MD5SIG is for one address.
std::string tag_of(const liveswap_option& said) {
  if (said.level != IPPROTO_TCP || said.name != TCP_MD5SIG) return "";
  constexpr auto size = sizeof(tcp_md5sig::tcpm_addr);
  return said.size < size ? "" : std::string(reinterpret_cast<const char*>(said.value), size);
}

}  // namespace

// What the socket is like before that worker has it is nobody's but the master's, or of the application that has made it.
void Takeover::give(Worker& worker, int socket, Endpoint& endpoint) {
  const auto cookie = cookie_of(socket);
  worker.cookies[cookie] = &endpoint;
  if (!options_.knows(cookie)) options_.know(cookie, options_of(socket));
}

void Takeover::note_option(const Worker& worker, const Frame& frame) {
  liveswap_option said{};
  if (frame.text.size() != sizeof said) return;
  std::memcpy(&said, frame.text.data(), sizeof said);
  const auto found = listeners_.with_socket(said.cookie);
  const auto given = worker.cookies.find(said.cookie);
  if (given == worker.cookies.end() || given->second != found.endpoint || said.size > sizeof said.value) return;
  const OptionName option{said.level, said.name, tag_of(said)};
  if (!options_.has_room_for(said.cookie, option, options_limit)) return;
  options_.note(said.cookie, option, worker.place.generation, option_of(found.fd, option));
}

void Takeover::keep_options(const std::set<rollout::Generation>& live) {
  for (const auto& one : options_.keep(live)) {
    const auto [endpoint, fd] = listeners_.with_socket(one.socket);
    if (!endpoint) {
      options_.forget(one.socket);
      continue;
    }
    const auto done = one.is_foreign && !one.value ? Result<void>(fail(one.option.text() + ": it cannot be read")) : put_back(fd, one.option, one.value);
    if (done) {
      log::seldom({"options that were taken back", 100}, log::Level::info, "listener {}: {}, set by generation {}, is as it was before", endpoint->name(),
                  one.option.text(), one.by);
      continue;
    }
    if (endpoint->renew(one.socket)) {
      log::warning("listener {}: generation {} has set {}: this cannot be taken back, so another socket is in its place", endpoint->name(), one.by,
                   done.error().text);
      options_.forget(one.socket);
      replaced(*endpoint, one.socket);
      continue;
    }
    stuck_options_[endpoint->name()] = fmt::format("generation {} has set {}: this cannot be taken back, and holds until a restart", one.by, done.error().text);
    log::warning("listener {}: {}", endpoint->name(), stuck_options_[endpoint->name()]);
  }
}

}  // namespace liveswap::master
