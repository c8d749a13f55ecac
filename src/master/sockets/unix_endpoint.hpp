#pragma once

#include <memory>
#include <vector>

#include "base/unique_fd.hpp"
#include "liveswap.hpp"
#include "master/sockets/endpoint.hpp"
#include "master/sockets/socket_file.hpp"

namespace liveswap::master {

// A Unix socket at a path, shared by all slots. Each set has one socket: a staged one is bound to
// `<path>.new` and renamed over the path, so that each connect() reaches one of them.
class UnixEndpoint final : public Endpoint {
 public:
  // Binds; replaces a stale socket at the path. `set`: the current one.
  static Result<std::unique_ptr<Endpoint>> open(const Listener& wanted, const std::string& path, int backlog,
                                                unsigned set = 0);
  // Goes on with the socket of an earlier master; if the path leads elsewhere now, binds.
  static Result<std::unique_ptr<Endpoint>> go_on(const Listener& wanted, const std::string& path, int backlog,
                                                 UniqueFd socket);
  explicit UnixEndpoint(const state::EndpointState& from);
  ~UnixEndpoint() override;  // removes the file; no worker accepts any more

  std::string address() const override { return "unix:" + path_; }
  void save(state::EndpointState& into) const override;
  Result<void> prepare(unsigned set, unsigned slots) override;
  Result<void> point(unsigned set, unsigned slots, const std::set<unsigned>& without) override;
  void settle() override;
  void retire(unsigned set) override;
  void shrink(unsigned) override {}
  void set_backlog(int backlog) override;
  void repair() override;
  int socket(unsigned set, unsigned) const override {
    return set < sockets_.size() ? sockets_[set].get() : -1;
  }
  std::vector<int> sockets(unsigned set) const override;
  bool per_slot() const override { return false; }
  std::vector<int> to_keep() const override { return sockets(set_); }
  std::string configured() const override { return address(); }
  bool is_at(const BindAddress& address) const override;
  bool is_file(const struct stat& file) const override { return file_.is(file); }
  std::string file() const override { return path_; }
  std::vector<std::string> watched() const override;
  FileReport mend_file() override;

 private:
  void move_door(Door door) override;
  void see_exchange();
  void replace(unsigned set);
  Result<std::uint64_t> replace_removed();
  Result<UniqueFd> bind_anew(const std::string& path) const;
  UnixEndpoint(std::string name, std::string path)
      : Endpoint(std::move(name)), path_(std::move(path)), beside_(path_ + ".new") {}

  std::string path_;
  std::string beside_;
  SocketFile file_;                     // the file at the path
  std::optional<unsigned> set_beside_;  // the set whose socket is at `beside_`
  UniqueFd lock_;                       // held while this process owns the path
  int backlog_ = 0;
  std::vector<UniqueFd> sockets_;  // by set
  unsigned set_ = 0;               // the set at the path
};

}  // namespace liveswap::master
