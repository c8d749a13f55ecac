#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstddef>
#include <functional>
#include <map>
#include <optional>
#include <utility>

#include "master/group_connections.hpp"

namespace liveswap::master {

// When the master looks at what the groups of ended workers have open. A look reads /proc on the master's only thread, and takes the
// longer the more processes and connections there are. So one look is for all groups, and looks take at most a tenth of the time.
class GroupLooks {
 public:
  using Milliseconds = std::chrono::milliseconds;
  using Groups = std::map<pid_t, ListeningPlaces>;
  using Count = std::function<std::map<pid_t, std::size_t>(const Groups&)>;

  explicit GroupLooks(Count count = connections_of_groups) : count_(std::move(count)) {}

  // How many connections of these places the group has, by a look that began after it was first asked for, and that has not
  // been told before. Nothing: the next look is not due yet, ask again. `now`: of a clock that does not go back.
  std::optional<std::size_t> open(pid_t group, const ListeningPlaces& places, Milliseconds now);
  // Whether that group has been asked for, and is not forgotten.
  bool knows(pid_t group) const { return groups_.contains(group); }
  void forget(pid_t group);

  // From the beginning of a look to that of the next one.
  static Milliseconds interval_after(std::chrono::nanoseconds duration);

 private:
  Count count_;
  Groups groups_;
  std::map<pid_t, std::size_t> found_;  // by the last look, and not told yet
  std::optional<Milliseconds> next_;
};

}  // namespace liveswap::master
