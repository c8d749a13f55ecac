#pragma once

#include <memory>
#include <vector>

#include "base/unique_fd.hpp"
#include "liveswap.hpp"
#include "master/sockets/endpoint.hpp"
#include "master/sockets/socket_file.hpp"

namespace liveswap::master {

// A Unix socket at a path; all slots share it. Each set has a socket of its own: a staged one is bound beside
// the path, as `<path>.new`, and renamed over it, so that a connect() meets one or the other.
class UnixEndpoint final : public Endpoint {
 public:
  // Binds, and takes over what a dead master left at the path.
  static Result<std::unique_ptr<Endpoint>> open(const Listener& wanted, const std::string& path, int backlog);
  ~UnixEndpoint() override;  // removes the file; nobody accepts any more

  std::string address() const override { return "unix:" + path_; }
  Result<void> prepare(unsigned set, unsigned slots) override;
  Result<void> point(unsigned set, unsigned slots, const std::set<unsigned>& without) override;
  void settle() override;
  void retire(unsigned set) override;
  void shrink(unsigned) override {}
  void repair() override;
  int socket(unsigned set, unsigned) const override {
    return set < sockets_.size() ? sockets_[set].get() : -1;
  }
  std::vector<int> sockets(unsigned set) const override;
  bool per_slot() const override { return false; }
  bool is_at(const BindAddress& address) const override;
  bool is_file(const struct stat& file) const override { return file_.is(file); }
  std::string file() const override { return path_; }
  std::vector<std::string> watched() const override { return {path_, file_.spare()}; }
  FileReport mend_file() override;
  // A connect() is one system call.
  std::optional<std::set<std::uint64_t>> handshakes() const override { return std::set<std::uint64_t>(); }

 private:
  void replace(unsigned set);
  Result<UniqueFd> bind_anew(const std::string& path) const;
  UnixEndpoint(std::string name, std::string path)
      : Endpoint(std::move(name)), path_(std::move(path)), beside_(path_ + ".new") {}

  std::string path_;
  std::string beside_;
  SocketFile file_;                     // at the path
  std::optional<unsigned> set_beside_;  // whose socket is bound there
  UniqueFd lock_;                       // held while the path is ours
  int backlog_ = 0;
  std::vector<UniqueFd> sockets_;  // by set
  unsigned set_ = 0;               // whose socket is at the path
};

}  // namespace liveswap::master
