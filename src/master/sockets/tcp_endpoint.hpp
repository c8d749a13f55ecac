#pragma once

#include <memory>
#include <vector>

#include "base/unique_fd.hpp"
#include "liveswap.hpp"
#include "master/sockets/endpoint.hpp"
#include "master/sockets/sockets.hpp"

namespace liveswap::master {

// A TCP address: one SO_REUSEPORT group, in which the kernel deals new connections by our program
// (steering.hpp), or, as long as all sockets shall get some, by itself.
//
// The program names sockets by their numbers in the group: the order in which they began to listen. When one
// leaves, the last one moves into its place, and between that and a new program connections would go astray.
// So a socket is closed only when it is the last one; the others stay, unused, until their slot or set is
// wanted again.
class TcpEndpoint final : public Endpoint {
 public:
  // Looks the address up and finds out whether it is free; listens from the first prepare() on.
  static Result<std::unique_ptr<Endpoint>> open(const Listener& wanted, ListenMode mode, int backlog);
  // Nobody accepts any more, and the address is free: also where a process that a worker has forked still has
  // a socket.
  ~TcpEndpoint() override;

  std::string address() const override;
  Result<void> prepare(unsigned set, unsigned slots) override;
  Result<void> point(unsigned set, unsigned slots, const std::set<unsigned>& without) override;
  void retire(unsigned set) override;
  void shrink(unsigned slots) override;
  void repair() override;
  int renew(std::uint64_t cookie) override;
  int socket(unsigned set, unsigned slot) const override;
  std::vector<int> sockets(unsigned set) const override;
  bool per_slot() const override { return per_slot_; }
  bool is_at(const BindAddress& address) const override;
  std::optional<std::set<std::uint64_t>> handshakes() const override;

 private:
  TcpEndpoint(std::string name, std::string text) : Endpoint(std::move(name)), text_(std::move(text)) {}
  bool hold_dealing();
  Result<void> deal_to(const std::vector<int>& sockets);
  void close_last_beyond(unsigned slots);
  void note_relisten(int fd);

  std::string text_;  // the address as it was asked for
  SocketAddress where_;
  bool per_slot_ = false;
  int backlog_ = 0;
  std::vector<std::vector<UniqueFd>> sets_;
  std::vector<UniqueFd> spoilt_;   // members of the group that get no connections any more
  std::vector<int> group_;         // every socket, at its number
  std::vector<int> dealt_to_;      // as last asked for
  std::vector<unsigned> program_;  // the numbers in the program; empty: there is none
  unsigned set_ = 0;               // that is pointed to
};

}  // namespace liveswap::master
