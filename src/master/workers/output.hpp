#pragma once

#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.hpp"
#include "base/tail.hpp"
#include "base/unique_fd.hpp"
#include "master/uv/loop.hpp"
#include "spawn/spawner.hpp"

namespace liveswap::master {

namespace state {
struct OutputState;
}

// Standard output and error of a child and its descendants. The master reads both from pipes (one, if both
// have the same destination), writes every byte to the original destination, and keeps the last bytes for
// failure messages.
//
// Never blocks. If the destination takes nothing (a stopped terminal, a full pipe), the pipe is not read,
// so the child blocks in write() as without the pipe. Each wake-up reads one pipe once, so that a fast
// writer does not keep the loop busy.
class Output {
 public:
  // Replaces descriptors 1 and 2 of `request` by pipes, unless they are -1 (/dev/null). The replacements
  // are valid until started(); the originals are borrowed for the life of the object. The pipes belong to
  // `request.identity`, so that the child can open /dev/stderr.
  static Result<std::unique_ptr<Output>> open(uv_loop_t& loop, spawn::Request& request);
  // The output of a process that the former image of the program has started. Begins with started().
  static std::unique_ptr<Output> adopt(uv_loop_t& loop, const state::OutputState& from);
  state::OutputState save() const;
  Output(const Output&) = delete;
  Output& operator=(const Output&) = delete;

  // Passes on at most `bytes` in all. The rest is read slowly, counted and discarded.
  void limit(std::size_t bytes) { room_ = limit_ = bytes; }
  std::uint64_t left_out() const { return left_out_; }

  // Call when the child has been spawned, or will not be: closes the child's ends.
  void started();
  // False: the loop cannot watch a pipe, so the child could block for ever.
  bool usable() const;
  // Reads what is in the pipes now, also after the child has exited.
  void catch_up();
  // Adds a line that the child sent by the channel, after earlier output.
  void add_line(std::string_view line);
  // The last lines of both streams (Tail::text()).
  std::string last() const;

  // All writers have closed, and everything has been passed on.
  bool ended() const;
  // `ended` is called once, when ended() becomes true, and may destroy this.
  void on_end(std::function<void()> ended) { ended_ = std::move(ended); }

 private:
  struct Stream {
    UniqueFd reader;
    UniqueFd child_end;
    int place = -1;        // destination
    std::string waiting;   // read, not passed on yet
    bool resting = false;  // reading pauses
    Tail tail;
    std::optional<Poll> poll;
  };

  explicit Output(uv_loop_t& loop) : loop_(loop), retry_(loop) {}
  Result<void> add(int place, const std::optional<spawn::Identity>& owner);
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
  std::size_t limit_ = SIZE_MAX;
  std::uint64_t left_out_ = 0;
  const Stream* read_last_ = nullptr;
  std::function<void()> ended_;
};

}  // namespace liveswap::master
