#include "master/sockets/passed_endpoint.hpp"

#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <utility>

#include "base/log.hpp"
#include "master/sockets/passed_listeners.hpp"
#include "master/state/socket_state.hpp"

namespace liveswap::master {

PassedEndpoint::PassedEndpoint(std::string name, UniqueFd socket, int backlog)
    : Endpoint(std::move(name)),
      socket_(std::move(socket)),
      where_(address_of_passed(socket_.get())),
      backlog_(backlog) {
  end_blocking(socket_.get());
}

PassedEndpoint::PassedEndpoint(const state::EndpointState& from)
    : Endpoint(from),
      socket_(UniqueFd::adopt(from.sets.at(0).at(0).fd.number)),
      where_(address_of_passed(socket_.get())),
      backlog_(from.backlog) {}

void PassedEndpoint::save(state::EndpointState& into) const {
  Endpoint::save(into);
  into.kind = state::EndpointState::Kind::passed;
  into.backlog = backlog_;
  into.sets = {{{{socket_.get()}}}};
}

Result<void> PassedEndpoint::prepare(unsigned set, unsigned) {
  if (set == 0) return {};
  return fail(
      fmt::format("the service manager has bound the socket at {}, so no second one can be bound for a "
                  "flip: upgrade without --flip, or bind it by --listen without a socket unit",
                  address()));
}

// A Unix socket that was shut down refuses connections for ever.
void PassedEndpoint::repair() {
  if (!where_.is_unix()) {
    repair_socket(socket_.get(), backlog_);
  } else if (is_shut_down(socket_.get())) {
    if (!std::exchange(is_lost_, true))
      log::error("listener {}: an application has shut it down; restart its socket unit", name());
  } else {
    repair_socket(socket_.get(), backlog_);
  }
}

void PassedEndpoint::set_backlog(int backlog) {
  if (std::exchange(backlog_, backlog) != backlog) ::listen(socket_.get(), backlog_);
}

std::vector<int> PassedEndpoint::sockets(unsigned set) const {
  if (set != 0) return {};
  return {socket_.get()};
}

bool PassedEndpoint::is_at(const BindAddress& address) const {
  return where_.same(address) || (where_.is_unix() && leads_to(address, *this));
}

std::string PassedEndpoint::file() const {
  const auto path = where_.path();
  return path.starts_with('/') ? path : "";
}

bool PassedEndpoint::is_file(const struct stat& file) const {
  struct stat found {};
  const auto path = this->file();
  return !path.empty() && ::lstat(path.c_str(), &found) == 0 && found.st_dev == file.st_dev &&
         found.st_ino == file.st_ino;
}

}  // namespace liveswap::master
