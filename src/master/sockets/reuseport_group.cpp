#include "master/sockets/reuseport_group.hpp"

#include <algorithm>
#include <cerrno>
#include <utility>

#include "base/log.hpp"

namespace liveswap::master {
std::optional<std::vector<unsigned>> ReuseportGroup::steer(int fd, std::vector<unsigned> numbers,
                                                           bool is_needed) const {
  const bool is_alone = numbers.size() == 1 && !is_needed;
  bool is_set = deal_ == Deal::in_turn && !is_alone && turns_->deal(fd, numbers);
  if (!is_set && !is_needed) {
    numbers.clear();
    is_set = remove_program(fd);
  }
  if (!is_set && is_needed)
    is_set = deal_ == Deal::by_peer ? deal_by_peer(fd, numbers) : deal_at_random(fd, numbers);
  return is_set ? std::optional(std::move(numbers)) : std::nullopt;
}

void ReuseportGroup::remove_last() {
  std::erase(dealt_to_, sockets_.back());
  sockets_.pop_back();
  // If the kernel has refused another program, the present one may still name the number.
  std::erase_if(program_, [this](unsigned number) { return number == sockets_.size(); });
}

std::vector<unsigned> ReuseportGroup::numbers_of(const std::vector<int>& sockets) const {
  // By descriptor: with many slots this is done often, and a hash table takes ten times as long.
  std::vector<bool> is_wanted;
  for (const int fd : sockets) {
    if (fd < 0) continue;
    const auto at = static_cast<std::size_t>(fd);
    if (at >= is_wanted.size()) is_wanted.resize(at + 1);
    is_wanted[at] = true;
  }
  std::vector<unsigned> numbers;
  for (unsigned number = 0; number < sockets_.size(); ++number) {
    const auto at = static_cast<std::size_t>(sockets_[number]);
    if (at < is_wanted.size() && is_wanted[at]) numbers.push_back(number);
  }
  return numbers;
}

bool ReuseportGroup::hold() {
  if (sockets_.empty() || !program_.empty()) return true;
  auto set = steer(dealt_to_.empty() ? sockets_[0] : dealt_to_[0], numbers_of(sockets_), true);
  if (set) program_ = std::move(*set);
  return set.has_value();
}

Result<void> ReuseportGroup::deal_to(const std::vector<int>& sockets, const std::string& object) {
  const auto numbers = numbers_of(sockets);
  const bool are_all = numbers.size() == sockets_.size();
  // Set or remove the program even if the numbers are the same: an application may have replaced it, and a
  // killed master may have changed it after its last state. Use a socket that gets connections: an
  // application may have locked a replaced one (SO_LOCK_FILTER). Where no program is needed and none is
  // known, an error says that there is none.
  if (auto set = steer(sockets[0], numbers, !are_all)) program_ = std::move(*set);
  else if (!are_all || !program_.empty()) return os_fail("steer the connections of", object, errno);
  dealt_to_ = sockets;
  return {};
}

Result<void> ReuseportGroup::replace(int former, int fresh, const std::string& object) {
  add(fresh);
  auto sockets = dealt_to_;
  std::replace(sockets.begin(), sockets.end(), former, fresh);
  return deal_to(sockets, object);
}

// By shutdown() the socket has left the group: the last member has taken its number. By listen() it has
// joined again, and is last now. If several sockets left at once, the order is unknown, and the numbers may
// be wrong: a connection could then wait in a set that is not live. Only a shutdown() by an application,
// which the contract forbids, causes this.
void ReuseportGroup::repair(const std::vector<int>& members, const std::function<bool(int)>& listen_again,
                            const std::string& object) {
  bool moved = false;
  for (const int fd : std::vector<int>(members)) {
    if (!listen_again(fd)) continue;
    std::swap(*std::find(sockets_.begin(), sockets_.end(), fd), sockets_.back());
    moved = true;
  }
  if (!moved || sockets_.size() == 1) return;
  // The kernel may have dropped the program together with an empty group, and the numbers have changed.
  program_.clear();
  if (auto dealt = deal_to(std::vector<int>(dealt_to_), object); !dealt)
    log::seldom({"connections that cannot be steered"}, log::Level::warning, "{}", dealt.error().text);
}

}  // namespace liveswap::master
