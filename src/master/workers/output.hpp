#pragma once

#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"
#include "base/tail.hpp"
#include "base/unique_fd.hpp"
#include "master/uv/loop.hpp"
#include "spawn/spawner.hpp"

namespace liveswap::master {

// What a child, and everything that it starts, writes on standard output and error. Both are pipes that the
// master reads, or one where both go to the same place. Every byte is passed on to where it would have gone
// without the pipe, and the last of it is kept, so that a failure can be told with its reason.
//
// Nothing here blocks. While the place where it goes takes nothing (a terminal that was stopped, a pipe that
// nobody reads), the pipe is not read either, so that the child waits in its write as it would without the
// pipe. A child may write as fast as it can: each wake-up reads one pipe once.
class Output {
 public:
  // Puts the children's ends of pipes in place of descriptors 1 and 2 of `request`, unless those are
  // /dev/null (-1). They are valid until started(). What was there is borrowed for the life of this. The
  // pipes belong to `request.identity`, so that the child can open /dev/stderr.
  static Result<std::unique_ptr<Output>> open(uv_loop_t& loop, SpawnRequest& request);
  Output(const Output&) = delete;
  Output& operator=(const Output&) = delete;

  // No more than so many bytes in all are passed on: the rest is read as before, but slowly, and counted.
  void limit(std::size_t bytes) { room_ = bytes; }
  std::uint64_t left_out() const { return left_out_; }

  // The child has its ends, or will never have them.
  void started();
  // False: a pipe cannot be watched, so a child that writes much would wait for ever.
  bool usable() const;
  // Reads what has been written by now, also by a child that has exited.
  void catch_up();
  // A line that the child has given away by another channel; behind what it has written before.
  void add_line(std::string_view line);
  // What was written last, by either stream; lines (Tail::text()).
  std::string last() const;

  // Nobody can write any more, and everything has been passed on.
  bool ended() const;
  // Called once, when that comes to be so; may destroy this.
  void on_end(std::function<void()> ended) { ended_ = std::move(ended); }

 private:
  struct Stream {
    UniqueFd reader;
    UniqueFd child_end;
    int place = -1;        // where it goes
    std::string waiting;   // read, and not passed on yet
    bool resting = false;  // not read for a moment
    Tail tail;
    std::optional<Poll> poll;
  };

  explicit Output(uv_loop_t& loop) : loop_(loop), retry_(loop) {}
  Result<void> add(int place, const std::optional<Identity>& owner);
  bool read_once(Stream& stream);
  void on_readable(Stream& stream);
  void keep(Stream& stream, std::string_view bytes);
  void pass_on(Stream& stream);
  void try_again();
  void tell_end();

  uv_loop_t& loop_;
  Timer retry_;
  std::list<Stream> streams_;
  Tail tail_;
  std::size_t room_ = SIZE_MAX;
  std::uint64_t left_out_ = 0;
  const Stream* read_last_ = nullptr;
  std::function<void()> ended_;
};

}  // namespace liveswap::master
