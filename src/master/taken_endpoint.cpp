#include "master/taken_endpoint.hpp"

#include "master/sockets.hpp"

namespace liveswap::master {

bool TakenEndpoint::is_for(const TakenAddress& address, unsigned nth) const {
  if (address.is_unnamed()) return asked_.same(address) && nth_ == nth;
  return is_at(address);
}

std::string TakenEndpoint::key() const {
  return asked_.is_unnamed() ? asked_.text() + " #" + std::to_string(nth_) : address();
}

bool TakenEndpoint::repair_taken(int fd, int backlog, bool& nonblocking) const {
  nonblocking = nonblocking || is_nonblocking(fd);
  return repair_socket(fd, backlog, nonblocking);
}

}  // namespace liveswap::master
