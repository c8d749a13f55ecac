#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "base/unique_fd.hpp"
#include "liveswap.hpp"
#include "master/sockets/endpoint.hpp"
#include "master/sockets/reuseport_group.hpp"
#include "master/sockets/sockets.hpp"

namespace liveswap::master {

// A TCP address: one SO_REUSEPORT group.
class TcpEndpoint final : public Endpoint {
 public:
  // Resolves the address and checks that no other program has it; listens from the first prepare() on.
  static Result<std::unique_ptr<Endpoint>> open(const Listener& wanted, ListenMode mode, int backlog);
  // As above, with the address. `may_share`: whether the socket with this cookie, which listens at an address
  // that excludes this one, does not matter.
  using MayShare = std::function<bool(std::uint64_t cookie)>;
  static Result<std::unique_ptr<Endpoint>> open_at(const SocketAddress& where, const Listener& wanted,
                                                   ListenMode mode, int backlog, const MayShare& may_share);
  // Goes on with the sockets of an earlier master, by their numbers in the group. At least one.
  static std::unique_ptr<Endpoint> go_on(const Listener& wanted, ListenMode mode, int backlog,
                                         std::vector<UniqueFd> sockets);
  explicit TcpEndpoint(const state::EndpointState& from);
  // Shuts the sockets down, so that the address is free even if a worker's child still has one.
  ~TcpEndpoint() override;

  std::string address() const override;
  void save(state::EndpointState& into) const override;
  Result<void> prepare(unsigned set, unsigned slots) override;
  Result<void> point(unsigned set, unsigned slots, const std::set<unsigned>& without) override;
  void retire(unsigned set) override;
  void shrink(unsigned slots) override;
  bool can_spread() const override;
  Result<void> spread(bool per_slot, unsigned set, unsigned slots) override;
  void set_backlog(int backlog) override;
  void repair() override;
  void repair_of(unsigned slot) override;
  int renew(std::uint64_t cookie) override;
  int socket(unsigned set, unsigned slot) const override;
  std::vector<int> sockets(unsigned set) const override;
  bool per_slot() const override { return per_slot_; }
  std::vector<int> to_keep() const override { return group_.sockets(); }
  std::string configured() const override { return text_; }
  bool is_at(const BindAddress& address) const override;
  std::optional<std::set<std::uint64_t>> handshakes() const override;

 private:
  TcpEndpoint(std::string name, std::string text) : Endpoint(std::move(name)), text_(std::move(text)) {}
  void take_spare(std::vector<UniqueFd>& sockets, std::size_t wanted);
  Result<void> leave_spare(std::vector<UniqueFd>& sockets);
  void close_last_beyond(unsigned slots);
  void move_door(Door door) override;
  void repair_these(const std::vector<int>& fds);

  std::string text_;  // the configured address
  SocketAddress where_;
  bool per_slot_ = false;
  int backlog_ = 0;
  std::vector<std::vector<UniqueFd>> sets_;
  std::vector<UniqueFd> spoilt_;  // in the group, but excluded by the program
  std::vector<UniqueFd> spare_;   // of an earlier master: in the group, and in no set yet
  ReuseportGroup group_{Deal::in_turn};
  unsigned set_ = 0;  // the current one
};

}  // namespace liveswap::master
