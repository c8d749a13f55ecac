#pragma once

#include <optional>

#include "master/app_listeners/app_endpoint.hpp"
#include "master/sockets/socket_file.hpp"

namespace liveswap::master {

// A Unix socket that applications bind, at a path or an abstract name; shared by all slots. The file is
// created and removed as the user of the worker that bound or last renamed it.
//
// One socket serves all sets: a second one beside the path (unix_endpoint.hpp) would show the application a
// name of the master's choice. So with --flip, staged workers can accept here before the flip.
class AppUnix final : public AppEndpoint {
 public:
  struct Rules {
    int backlog = 0;  // the minimum
    bool listen_at_once = false;
  };
  AppUnix(const BindAddress& asked, unsigned nth, const Rules& rules)
      : AppEndpoint(asked, nth), rules_(rules), where_(asked) {}
  AppUnix(const state::EndpointState& from, const Rules& rules);
  ~AppUnix() override;  // removes the file unless replaced

  std::string address() const override { return where_.text(); }
  void save(state::EndpointState& into) const override;
  Result<void> point(unsigned set, unsigned slots, const std::set<unsigned>& without) override;
  void retire(unsigned) override {}
  void shrink(unsigned) override {}
  void repair() override;
  int socket(unsigned set, unsigned slot) const override;
  std::vector<int> sockets(unsigned set) const override;
  bool per_slot() const override { return false; }
  bool is_at(const BindAddress& address) const override;
  bool is_file(const struct stat& file) const override { return fd_ && file_.is(file); }
  std::string file() const override { return fd_ && listens_ ? file_.path() : ""; }
  bool is_known_as(const std::string& path) const override {
    return same_entry(path, where_.path()) || (!former_path_.empty() && same_entry(path, former_path_));
  }
  std::vector<std::string> watched() const override {
    return file().empty() ? std::vector<std::string>{} : std::vector{file_.path(), file_.spare()};
  }
  FileReport mend_file() override;
  void take_mode(mode_t mode, const std::optional<spawn::Identity>& as) override { file_.set_mode(mode, as); }

  // Renames the file for the application, as the user `as`. `keep_old`: other workers will do the same. 0
  // or an errno.
  int move(const std::string& to, const std::string& from, bool keep_old,
           const std::optional<spawn::Identity>& as);
  mode_t mode() const { return file_.mode(); }
  // Links the path to the file, for a worker that binds a name that others have renamed. 0 or an errno.
  int link_as(const std::string& path, const std::optional<spawn::Identity>& as) const {
    return file_.link_as(path, as);
  }

  // If the file is gone or another's, the new socket replaces the old one.
  int add(unsigned set, unsigned slot, spawn::ReceivedFd socket,
          const std::optional<spawn::Identity>& as) override;
  int listen(unsigned set, unsigned slot, int backlog) override;
  int held(unsigned, unsigned) const override { return fd_.get(); }
  int reachable(unsigned set, unsigned slot) const override;
  bool want(const Wanted&) override { return false; }
  void clear_unwanted() override {}
  void spare() override { spared_ = true; }
  const BindAddress& where() const override { return where_; }
  bool in_use() const override { return listens_; }

 private:
  bool is_abstract() const { return where_.path().empty() || where_.path().front() == '\0'; }
  UniqueFd bind_again() const;
  Result<std::uint64_t> replace_socket();
  void give_up();

  Rules rules_;
  BindAddress where_;
  UniqueFd fd_;                             // empty: shut down by an application, and not bound again
  std::optional<spawn::Identity> made_by_;  // the user that bound or last renamed the file
  SocketFile file_;
  std::string former_path_;  // before the rename
  int backlog_ = 0;
  bool nonblocking_ = false;  // has ever been
  bool listens_ = false;
  unsigned set_ = 0;  // the current one
  bool spared_ = false;
};

}  // namespace liveswap::master
