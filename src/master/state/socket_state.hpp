#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "master/sockets/bind_address.hpp"
#include "master/sockets/endpoint.hpp"
#include "master/sockets/reuseport_group.hpp"
#include "master/sockets/socket_file.hpp"
#include "master/state/values.hpp"
#include "systemd/stored_sockets.hpp"

// The listeners as plain values.
namespace liveswap::master::state {

// A socket of an endpoint. All but `fd` are of application listeners (app_inet.hpp).
struct SocketState {
  Fd fd;
  int backlog = 0;
  bool nonblocking = false;
  bool member = false;
  bool wanted = false;
  bool served = false;
  bool unwanted = false;
};

// An endpoint of any kind; members without a meaning for its kind have their default values.
struct EndpointState {
  enum class Kind { tcp, unix_path, app_inet, app_unix, passed } kind = Kind::tcp;
  std::string name;
  std::string text;  // configured: the address of a TCP listener, the path of a Unix listener
  bool was_mended = false;
  bool left_open = false;
  std::string lost;
  BindAddress asked, where;  // `where.where`: of a TCP listener, too
  unsigned nth = 0;
  bool per_slot = false;
  int backlog = 0;
  std::vector<std::vector<SocketState>> sets;  // by set, by slot; a Unix socket has one for all slots
  std::vector<Fd> spoilt, spare;
  ReuseportGroup group{Deal::in_turn};  // its members are among `sets`, `spoilt` and `spare`
  unsigned set = 0;                       // the current one
  SocketFile file;
  Fd lock;  // of the path
  std::optional<unsigned> set_beside;
  std::optional<spawn::Identity> made_by;
  std::string former_path;
  bool nonblocking = false, listens = false, spared = false, left = false;
  Endpoint::Door door = Endpoint::Door::open;
};

// A listener as a configuration lends it to workers (sockets/lending.hpp).
struct LentState {
  unsigned endpoint = 0;  // the place in ListenersState::endpoints
  std::string name;
  bool per_slot = false;
};

struct ListenersState {
  std::vector<EndpointState> endpoints;  // the lent ones first
  // What each configuration lends that is in use: the present one first, which lends the first endpoints in
  // their order. Empty (written by an earlier version): that one.
  std::vector<std::vector<LentState>> lendings;
  unsigned former = 0;  // the place in `lendings` of what the committed generation is lent
  std::uint64_t lent = 0;
  unsigned sets = 1;
  unsigned live = 0;
  std::optional<unsigned> staged;  // a flip to that set was about to begin
  unsigned slots = 0;
  unsigned steered = 0;
  std::set<unsigned> without;
  systemd::StoredSockets kept;  // by the service manager
};

template <class Archive>
void describe(Archive& a, spawn::Identity& identity) {
  a("user", identity.user)("group", identity.group)("groups", identity.groups);
}
template <class Archive>
void describe(Archive& a, SocketAddress& address) {
  std::string bytes(reinterpret_cast<const char*>(&address.storage), sizeof address.storage);
  a("bytes", bytes)("length", address.length)("both_families", address.both_families);
  if (bytes.size() != sizeof address.storage || address.length > sizeof address.storage)
    throw Wrong("an address has an impossible length");
  bytes.copy(reinterpret_cast<char*>(&address.storage), bytes.size());
}
template <class Archive>
void describe(Archive& a, BindAddress& address) {
  a("domain", address.domain)("type", address.type)("protocol", address.protocol);
  a("v6only", address.v6only)("umask", address.umask)("where", address.where);
}
template <class Archive>
void describe(Archive& a, SocketState& one) {
  a("fd", one.fd)("backlog", one.backlog)("nonblocking", one.nonblocking)("member", one.member);
  a("wanted", one.wanted)("served", one.served)("unwanted", one.unwanted);
}
template <class Archive>
void describe(Archive& a, EndpointState& one) {
  a("kind", one.kind)("name", one.name)("text", one.text)("was_mended", one.was_mended)("lost", one.lost);
  a("asked", one.asked)("where", one.where)("nth", one.nth)("per_slot", one.per_slot);
  a("backlog", one.backlog)("sets", one.sets)("spoilt", one.spoilt)("group", one.group)("set", one.set);
  a("spare", one.spare)("left_open", one.left_open);
  a("file", one.file)("lock", one.lock)("set_beside", one.set_beside)("made_by", one.made_by);
  a("former_path", one.former_path)("nonblocking", one.nonblocking)("listens", one.listens);
  a("spared", one.spared)("left", one.left)("door", one.door);
}
template <class Archive>
void describe(Archive& a, LentState& one) {
  a("endpoint", one.endpoint)("name", one.name)("per_slot", one.per_slot);
}
template <class Archive>
void describe(Archive& a, ListenersState& one) {
  a("endpoints", one.endpoints)("lent", one.lent)("sets", one.sets)("live", one.live)("slots", one.slots);
  a("steered", one.steered)("without", one.without)("kept", one.kept);
  a("lendings", one.lendings)("former", one.former)("staged", one.staged);
}

template <>
inline constexpr EndpointState::Kind last_of<EndpointState::Kind> = EndpointState::Kind::passed;
template <>
inline constexpr Endpoint::Door last_of<Endpoint::Door> = Endpoint::Door::abandoned;

}  // namespace liveswap::master::state
