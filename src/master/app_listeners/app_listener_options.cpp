#include <fmt/format.h>
#include <netinet/tcp.h>

#include <cstddef>
#include <cstring>

#include "base/log.hpp"
#include "contract/channel.h"
#include "master/app_listeners/app_listeners.hpp"
#include "master/sockets/sockets.hpp"

// Options that applications set on listeners: which release set them, and undoing them after that release.
namespace liveswap::master {
namespace {

// For one socket: an application may set keys for many addresses.
constexpr std::size_t options_limit = 512;

// A TCP_MD5SIG key belongs to one address.
std::string tag_of(const liveswap_option& said) {
  if (said.level != IPPROTO_TCP || said.name != TCP_MD5SIG) return "";
  constexpr auto size = sizeof(tcp_md5sig::tcpm_addr);
  return said.size < size ? "" : std::string(reinterpret_cast<const char*>(said.value), size);
}

}  // namespace

// Records the socket's options before the worker can change them.
void AppListeners::give(Worker& worker, int socket, Endpoint& endpoint) {
  const auto cookie = cookie_of(socket);
  worker.cookies[cookie] = &endpoint;
  if (!options_.knows(cookie)) options_.know(cookie, options_of(socket));
}

void AppListeners::note_option(const Worker& worker, const Frame& frame) {
  liveswap_option said{};
  if (frame.text.size() != sizeof said) return;
  std::memcpy(&said, frame.text.data(), sizeof said);
  const auto found = listeners_.with_socket(said.cookie);
  const auto given = worker.cookies.find(said.cookie);
  if (given == worker.cookies.end() || given->second != found.endpoint || said.size > sizeof said.value)
    return;
  for (const auto& option : set_with({said.level, said.name, tag_of(said)})) {
    auto value = option_of(found.fd, option);
    if (!value && !is_known(option)) continue;
    if (options_.has_room_for(said.cookie, option, options_limit))
      options_.note(said.cookie, option, worker.place.generation, std::move(value));
  }
}

void AppListeners::keep_options(const std::set<rollout::Generation>& live) {
  std::map<std::uint64_t, rollout::OptionLedger::Restore> stuck;  // by socket; one option for each is enough
  for (const auto& one : options_.keep(live)) {
    const auto [endpoint, fd] = listeners_.with_socket(one.socket);
    if (!endpoint) options_.forget(one.socket);
    if (!endpoint || (one.value && option_of(fd, one.option) == one.value)) continue;
    const bool is_lost = one.is_foreign && !one.value;
    if (is_lost || !put_back(fd, one.option, one.value)) stuck.emplace(one.socket, one);
    else
      log::seldom({"options that were taken back", 100}, log::Level::info,
                  "listener {}: {}, set by generation {}, is as it was before", endpoint->name(),
                  text_of(one.option), one.by);
  }
  for (const auto& [socket, one] : stuck) replace_stuck(one);
}

// The new socket also gets the other options of the old one.
void AppListeners::replace_stuck(const rollout::OptionLedger::Restore& stuck) {
  const auto [endpoint, former] = listeners_.with_socket(stuck.socket);
  const auto values = options_of(former);
  const int fresh = endpoint->renew(stuck.socket);
  const auto text =
      fmt::format("generation {} has set {}, which cannot be taken back", stuck.by, text_of(stuck.option));
  if (fresh < 0) {
    stuck_options_[endpoint->name()] = text + ": it holds until a restart";
    log::warning("listener {}: {}", endpoint->name(), stuck_options_[endpoint->name()]);
    return;
  }
  log::warning("listener {}: {}: another socket is in its place", endpoint->name(), text);
  for (const auto& [option, value] : values)
    if (option != stuck.option && option_of(fresh, option) != value && !put_back(fresh, option, value))
      log::warning("listener {}: {} could not be set again", endpoint->name(), text_of(option));
  options_.forget(stuck.socket);
  replaced(*endpoint, stuck.socket);
}

}  // namespace liveswap::master
