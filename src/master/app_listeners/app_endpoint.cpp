#include "master/app_listeners/app_endpoint.hpp"

#include "master/sockets/sockets.hpp"
#include "master/state/socket_state.hpp"

namespace liveswap::master {

AppEndpoint::AppEndpoint(const state::EndpointState& from)
    : Endpoint(from), asked_(from.asked), nth_(from.nth) {}

void AppEndpoint::save(state::EndpointState& into) const {
  Endpoint::save(into);
  into.asked = asked_;
  into.nth = nth_;
}

bool AppEndpoint::is_for(const BindAddress& address, unsigned nth) const {
  if (address.is_unnamed()) return asked_.same(address) && nth_ == nth;
  return is_at(address);
}

std::string AppEndpoint::key() const {
  return asked_.is_unnamed() ? asked_.text() + " #" + std::to_string(nth_) : address();
}

bool AppEndpoint::repair_app_socket(int fd, int backlog, bool& nonblocking) const {
  nonblocking = nonblocking || is_nonblocking(fd);
  return repair_socket(fd, backlog, nonblocking);
}

}  // namespace liveswap::master
