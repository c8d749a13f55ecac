#pragma once

#include <vector>

#include "master/app_listeners/app_endpoint.hpp"
#include "master/sockets/reuseport_group.hpp"

namespace liveswap::master {

// A TCP or UDP address of an application: a SO_REUSEPORT group. A TCP socket joins at
// listen(), a UDP socket at bind().
class AppInet final : public AppEndpoint {
 public:
  struct Rules {
    bool per_slot = true;
    int backlog = 0;                                         // the minimum
    bool listen_at_once = false;                             // listen() of the application is not seen
    std::function<bool(std::uint64_t cookie)> is_ours = {};  // whether the master holds that socket
  };
  AppInet(const BindAddress& asked, unsigned nth, const Rules& rules)
      : AppEndpoint(asked, nth),
        rules_(rules),
        where_(asked),
        group_(is_datagram() ? Deal::by_peer : Deal::in_turn) {}
  AppInet(const state::EndpointState& from, const Rules& rules);
  ~AppInet() override;

  std::string address() const override { return where_.text(); }
  void save(state::EndpointState& into) const override;
  Result<void> point(unsigned set, unsigned slots, const std::set<unsigned>& without) override;
  void retire(unsigned set) override;
  void shrink(unsigned slots) override;
  void repair() override;
  void repair_of(unsigned slot) override;
  int socket(unsigned set, unsigned slot) const override;
  std::vector<int> sockets(unsigned set) const override;
  bool per_slot() const override { return rules_.per_slot; }
  bool is_at(const BindAddress& address) const override { return where_.same(address); }
  std::optional<std::set<std::uint64_t>> handshakes() const override;

  int add(unsigned set, unsigned slot, spawn::ReceivedFd socket,
          const std::optional<spawn::Identity>& as) override;
  int listen(unsigned set, unsigned slot, int backlog) override;
  int held(unsigned set, unsigned slot) const override;
  bool want(const Wanted& wanted) override;
  void clear_unwanted() override;
  std::vector<int> unwanted() const override;
  std::vector<std::uint64_t> cookies() const override;
  bool leave() override;
  void spare() override { spared_ = true; }
  const BindAddress& where() const override { return where_; }
  bool in_use() const override { return !group_.sockets().empty(); }

 private:
  struct Socket {
    spawn::ReceivedFd fd;
    int backlog = 0;
    bool nonblocking = false;  // has ever been
    bool member = false;       // of the group
    bool wanted = false;
    bool served = false;    // was ever wanted
    bool unwanted = false;  // at the last want()
  };
  Socket* find(unsigned set, unsigned slot);
  const Socket* find(unsigned set, unsigned slot) const;
  Socket* owner(int fd);
  int bind_socket(int fd);
  bool is_first() const;
  bool is_strangers() const;
  int probe() const;
  void end(const Socket& socket) const;
  int join(Socket& socket);
  void note_raw_listens();
  void repair_these(const std::vector<int>& fds);
  void close_last_beyond(unsigned slots);

  Rules rules_;
  BindAddress where_;  // with the port that the kernel chose
  std::vector<std::vector<Socket>> sets_;
  ReuseportGroup group_;
  bool left_ = false;
  bool spared_ = false;
};

}  // namespace liveswap::master
