#pragma once

#include <memory>
#include <vector>

#include "base/unique_fd.hpp"
#include "liveswap.hpp"
#include "master/sockets/endpoint.hpp"
#include "master/sockets/sockets.hpp"

namespace liveswap::master {

// A TCP address: one SO_REUSEPORT group. The kernel distributes new connections by a program
// (steering.hpp), or by itself while all sockets shall get some.
//
// The program names sockets by their numbers in the group: the order in which they began to listen. If one
// leaves, the last takes that number, and until a new program is set connections go astray. So only the
// last socket is ever closed; others stay unused until their slot or set is needed again.
class TcpEndpoint final : public Endpoint {
 public:
  // Resolves the address and checks that no other program has it; listens from the first prepare() on.
  static Result<std::unique_ptr<Endpoint>> open(const Listener& wanted, ListenMode mode, int backlog);
  // Shuts the sockets down, so that the address is free even if a worker's child still has one.
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

  std::string text_;  // the configured address
  SocketAddress where_;
  bool per_slot_ = false;
  int backlog_ = 0;
  std::vector<std::vector<UniqueFd>> sets_;
  std::vector<UniqueFd> spoilt_;   // in the group, but excluded by the program
  std::vector<int> group_;         // all sockets, by number
  std::vector<int> dealt_to_;      // as last requested
  std::vector<unsigned> program_;  // numbers in the program; empty: no program
  unsigned set_ = 0;               // the current one
};

}  // namespace liveswap::master
