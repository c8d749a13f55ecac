#pragma once

#include <memory>

#include "base/unique_fd.hpp"
#include "master/sockets/bind_address.hpp"
#include "master/sockets/endpoint.hpp"

namespace liveswap::master {

// A listening socket that the service manager has bound (socket activation), shared by all slots: no second
// one can be bound beside it. The manager keeps it: it is neither bound anew nor shut down nor stored here,
// and the file of a Unix socket is the manager's.
class PassedEndpoint final : public Endpoint {
 public:
  // `socket` listens.
  PassedEndpoint(std::string name, UniqueFd socket, int backlog);
  explicit PassedEndpoint(const state::EndpointState& from);

  std::string address() const override { return where_.text(); }
  void save(state::EndpointState& into) const override;
  Result<void> prepare(unsigned set, unsigned slots) override;
  Result<void> point(unsigned, unsigned, const std::set<unsigned>&) override { return {}; }
  void retire(unsigned) override {}
  void shrink(unsigned) override {}
  bool is_passed() const override { return true; }
  void set_backlog(int backlog) override;
  void repair() override;
  int socket(unsigned set, unsigned) const override { return set == 0 ? socket_.get() : -1; }
  std::vector<int> sockets(unsigned set) const override;
  bool per_slot() const override { return false; }
  bool is_at(const BindAddress& address) const override;
  bool is_file(const struct stat& file) const override;
  std::string file() const override;

 private:
  UniqueFd socket_;
  BindAddress where_;
  int backlog_;
  bool is_lost_ = false;
};

}  // namespace liveswap::master
