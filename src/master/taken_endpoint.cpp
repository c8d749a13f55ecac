#include "master/taken_endpoint.hpp"

namespace liveswap::master {

bool TakenEndpoint::is_for(const TakenAddress& address, unsigned nth) const {
  if (address.is_unnamed()) return asked_.same(address) && nth_ == nth;
  return is_at(address);
}

}  // namespace liveswap::master
