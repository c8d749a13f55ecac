#pragma once

#include <sys/types.h>

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.hpp"
#include "base/unique_fd.hpp"
#include "contract/channel.h"
#include "master/uv/loop.hpp"
#include "master/workers/output.hpp"
#include "spawn/received_fd.hpp"
#include "spawn/spawner.hpp"

namespace liveswap::master {

// Who has sent a frame, as the kernel says it: the process, and its real user and group at that moment. A
// child of the worker may hold the channel, too; and a process that has given up its rights can become
// another user by exec.
struct Sender {
  pid_t pid = 0;  // 0: not known here
  uid_t user = static_cast<uid_t>(-1);
  gid_t group = static_cast<gid_t>(-1);
};

// A frame from a worker host; its size has been checked, its meaning has not.
struct Frame {
  std::uint32_t kind = 0;
  std::int32_t value = 0;
  std::uint64_t count = 0;
  std::string text;
  ReceivedFd descriptor;  // that came with it; a frame of a kind that wants none closes it
  bool crippled =
      false;  // came with more than one, or with one that this process had no room for: it has none
  Sender sender = {};
  bool posthumous = false;  // read when the worker had exited: nothing more can be found out about it
};

// What a frame to a worker may have beside its number.
struct Extras {
  std::uint64_t count = 0;
  std::string_view text = {};
  int descriptor = -1;                      // borrowed
  std::shared_ptr<const void> ticket = {};  // held as long as the frame is kept here
};

// How a worker host's process ended.
struct Ending {
  std::string text;  // "exit status 3", "killed by SIGSEGV"
  std::string code;  // "3", "SIGSEGV"
  bool clean = false;
  int signal = 0;  // that has killed it; 0: none
};

// One worker host from its spawn until it has been reaped: the process and the channel to it. Owned by the
// master, used on the loop's thread. Destroying it earlier kills and reaps the process.
class WorkerProcess {
 public:
  struct Handlers {
    std::function<void(Frame&)> frame;
    // The last call; every frame that the worker sent has been given before, and the rest of the group of one
    // that ended badly has been killed. May destroy the object.
    std::function<void(const Ending&)> ended;
    // It has ended, and is not reaped yet: whether to wait for processes of its group, which it has left
    // behind. Asked again every 100 ms until it says no; then ended() follows.
    std::function<bool()> outlived = {};
  };

  // `request.descriptors[LIVESWAP_FD_CHANNEL]` is filled in here; 1 and 2 are where its output goes
  // (output.hpp).
  static Result<std::unique_ptr<WorkerProcess>> start(uv_loop_t& loop, SpawnRequest request,
                                                      Handlers handlers);
  // The second half of start(), for tests that play the worker: a process that runs already, and our end of
  // its channel, a SOCK_SEQPACKET with SO_PASSCRED. A child without a number is neither signalled nor reaped.
  static Result<std::unique_ptr<WorkerProcess>> watch(uv_loop_t& loop, Child child, UniqueFd channel,
                                                      std::unique_ptr<Output> output, Handlers handlers);
  ~WorkerProcess();

  pid_t pid() const { return child_.pid; }

  // Sends now, or keeps the frame until the worker has room. Nothing happens when the worker has gone. What
  // is kept is bounded by what the worker asks for; send_bounded() keeps no more than so many, and says false
  // beyond that.
  void send(std::uint32_t kind, std::int32_t value, const Extras& extras = {});
  bool send_bounded(std::uint32_t kind, std::int32_t value, const Extras& extras);
  // Nothing is read from it for a moment.
  void rest();
  // As send(), but false, and nothing kept, when the worker has no room.
  bool offer(std::uint32_t kind, std::int32_t value, std::string_view text = {});
  // A line of its log, for what it wrote last.
  void add_line(std::string_view line) { output_->add_line(line); }
  // Of what it writes, this many bytes in all go on to the log (Output::limit); how many more there were.
  void limit_output(std::size_t bytes) { output_->limit(bytes); }
  std::uint64_t output_left_out() const { return output_->left_out(); }
  // What it wrote last, up to now.
  std::string last_output();
  // For what the process may have left behind; from ended() only.
  std::unique_ptr<Output> take_output() { return std::move(output_); }
  // By pidfd: never hits another process. While processes that it has left behind are waited for, they get
  // it, all of its group.
  void signal(int number);

 private:
  WorkerProcess(uv_loop_t& loop, Child child, UniqueFd channel, std::unique_ptr<Output> output,
                Handlers handlers);
  void on_channel(int events);
  void on_exit();
  void reap();
  bool read_frame(bool posthumous = false);
  void close_channel();
  void take_frame(Frame frame, const char* packet, std::size_t size);
  struct Packet {
    std::string bytes;
    ReceivedFd descriptor;  // a duplicate
    std::shared_ptr<const void> ticket;
  };
  enum class Written { done, full, no_memory };
  Written write_frame(const std::string& bytes, int descriptor);
  void write_outbox();
  void watch_channel();

  Child child_;
  UniqueFd channel_;
  std::unique_ptr<Output> output_;
  Handlers handlers_;
  std::deque<Packet> outbox_;
  bool pausing_ =
      false;  // the kernel has no memory, or takes no more descriptors in flight: retried after a moment
  Timer pause_;
  bool has_ended_ = false;  // others of its group have not
  Timer outlived_;
  bool resting_ = false;
  Timer rest_;
  Poll exit_poll_;
  std::optional<Poll> channel_poll_;  // empty once the channel has ended
};

}  // namespace liveswap::master
