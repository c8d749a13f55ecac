#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "master/sockets/steering_program.hpp"

namespace liveswap::master {

enum class Deal {
  in_turn,  // connections one after the other; where eBPF is not allowed, at random
  by_peer,  // datagrams: of one sender always to the same socket
};

// The listening sockets of one SO_REUSEPORT group. A program (steering_program.hpp) deals new connections to
// them. Where eBPF is not allowed there is one only while some sockets shall get none: without a program the
// kernel deals by its hash.
//
// The program names sockets by their numbers in the group: the order in which they began to listen. If one
// leaves, the last takes that number, and until a new program is set connections go astray. So only the last
// socket is ever closed; others stay unused until their slot or set is needed again. At most 1024 sockets.
class ReuseportGroup {
 public:
  // In the list of the program's numbers: the program is unknown.
  static constexpr unsigned no_number = ~0U;

  explicit ReuseportGroup(Deal deal) : deal_(deal) {}

  // All members by number; borrowed.
  const std::vector<int>& sockets() const { return sockets_; }
  // A new last member.
  void add(int fd) { sockets_.push_back(fd); }
  // A former master may have set a program: the next deal_to() sets another.
  void expect_program() { program_ = {no_number}; }
  // The last member is being closed.
  void remove_last();
  // Sets a program with the present members, if there is none: without one a new member would get connections
  // at once. False: the kernel refuses.
  bool hold();
  // Directs new connections to these members. Errors name `object`.
  Result<void> deal_to(const std::vector<int>& sockets, const std::string& object);
  // `fresh`, a new last member, gets the connections of `former` from now on.
  Result<void> replace(int former, int fresh, const std::string& object);
  // Calls `listen_again` for each of these members. True: the member had been shut down, and listens again.
  void repair(const std::vector<int>& members, const std::function<bool(int fd)>& listen_again,
              const std::string& object);

  // All members but `deal_` and `turns_` as values (state/archive.hpp). The descriptors are borrowed, and
  // keep their numbers in the next image of the program.
  template <class Archive>
  void describe(Archive& a) {
    a("sockets", sockets_)("dealt_to", dealt_to_)("program", program_);
  }
  ReuseportGroup with(Deal deal) const {
    ReuseportGroup copy = *this;
    copy.deal_ = deal;
    return copy;
  }

 private:
  std::vector<unsigned> numbers_of(const std::vector<int>& sockets) const;
  // Sets a program with these numbers. If no program `is_needed`, because the numbers are all, and the
  // program in turn is not allowed, removes the present one instead. Returns the numbers in the program;
  // nullopt, with errno: the kernel refuses.
  std::optional<std::vector<unsigned>> steer(int fd, std::vector<unsigned> numbers, bool is_needed) const;

  Deal deal_;
  std::shared_ptr<Turns> turns_ = std::make_shared<Turns>();  // of this group alone; copies share it
  std::vector<int> sockets_;                                  // by number
  std::vector<int> dealt_to_;                                 // as last requested
  std::vector<unsigned> program_;                             // numbers in the program; empty: no program
};

}  // namespace liveswap::master
