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

namespace state {
struct WorkerState;
}

// The sender of a frame by SCM_CREDENTIALS: process, real user and group. This need not be the worker: a
// child may hold the channel too, and a process without rights can become another user by exec.
struct Sender {
  pid_t pid = 0;  // 0: in a pid namespace that the master does not see
  uid_t user = static_cast<uid_t>(-1);
  gid_t group = static_cast<gid_t>(-1);
};

// A frame from a worker host. The size has been checked, the content has not.
struct Frame {
  std::uint32_t kind = 0;
  std::int32_t value = 0;
  std::uint64_t count = 0;
  std::string text;
  spawn::ReceivedFd descriptor;  // came with the frame; unused ones are closed
  bool crippled = false;  // more than one descriptor came, or there was no room for one: all are closed
  Sender sender = {};
  bool posthumous = false;  // read after the worker's exit, so the sender can no longer be verified
  bool had_descriptor = false;  // one or more came
};

// Optional parts of a frame to a worker.
struct Extras {
  std::uint64_t count = 0;
  std::string_view text = {};
  int descriptor = -1;                      // borrowed
  std::shared_ptr<const void> ticket = {};  // released when the frame has been sent or dropped
};

// The name of an enum liveswap_stage; "unknown" for any other number.
const char* stage_word(int stage);

// How a worker host's process ended.
struct Ending {
  std::string text;  // "exit status 3", "killed by SIGSEGV"
  std::string code;  // "3", "SIGSEGV"
  bool clean = false;
  int signal = 0;        // that killed the process; 0: none
  bool unknown = false;  // the process was no child of this one, and the kernel does not tell how it ended
};

// One worker host from spawn to reaping: the process and the channel. Owned by the master, used on the
// loop's thread. Destroying the object earlier kills and reaps the process.
class WorkerProcess {
 public:
  struct Handlers {
    std::function<void(Frame&)> frame;
    // The last call, after all frames of the worker. If the worker ended badly, the rest of the process
    // group has been killed. May destroy the object.
    std::function<void(const Ending&)> ended;
    // The process has ended: return true to wait for processes that it has left behind. Called every 100 ms
    // until the result is false; then ended() follows. A child is not reaped before.
    std::function<bool()> outlived = {};
  };

  // Fills in `request.descriptors[LIVESWAP_FD_CHANNEL]`. Descriptors 1 and 2 are the destinations of the
  // output (output.hpp).
  static Result<std::unique_ptr<WorkerProcess>> start(uv_loop_t& loop, spawn::Request request,
                                                      Handlers handlers);
  // The second half of start(), for tests that play the worker: watches a running process and the master's
  // end of its channel (SOCK_SEQPACKET with SO_PASSCRED). A child with pid -1 is neither signalled nor
  // reaped.
  static Result<std::unique_ptr<WorkerProcess>> watch(uv_loop_t& loop, spawn::Child child, UniqueFd channel,
                                                      std::unique_ptr<Output> output, Handlers handlers);
  ~WorkerProcess();

  pid_t pid() const { return child_.pid; }
  // False: a killed master has started it, and it has ended. Another process reaps it.
  bool is_child() const { return is_child_; }

  // Sends the frame now, or queues it until the channel has room; does nothing after the worker's end.
  // send() queues at most as many answers as the worker has asked for. send_bounded() has a limit and
  // returns false beyond it.
  void send(std::uint32_t kind, std::int32_t value, const Extras& extras = {});
  bool send_bounded(std::uint32_t kind, std::int32_t value, const Extras& extras);
  // Stops reading from the worker for a moment.
  void rest();
  // As send(), but false, without queueing, if the channel has no room.
  bool offer(std::uint32_t kind, std::int32_t value, std::string_view text = {});
  // Adds a log line of the worker to the last output.
  void add_line(std::string_view line) { output_->add_line(line); }
  // Passes at most `bytes` of output on to the log (Output::limit), and counts the rest.
  void limit_output(std::size_t bytes) { output_->limit(bytes); }
  std::uint64_t output_left_out() const { return output_->left_out(); }
  // The last lines of output so far.
  std::string last_output();
  // For processes left behind, which may still write. Only from ended().
  std::unique_ptr<Output> take_output() { return std::move(output_); }
  // Whether a signal has stopped the process, or made it run again, since the last call; nullopt: neither, or
  // the process is not this process's child.
  std::optional<bool> take_stop();

  // Whether no frame waits for room in the channel.
  bool is_idle() const { return outbox_.empty(); }
  // Process, channel and output, for the next image of the program. Only if is_idle().
  void save(state::WorkerState& into) const;
  // A worker that the former image, or a killed master, has started.
  static Result<std::unique_ptr<WorkerProcess>> adopt(uv_loop_t& loop, const state::WorkerState& from,
                                                      Handlers handlers);
  // By pidfd, so never hits another process. While processes are waited for that a child has left, the whole
  // process group gets the signal.
  void signal(int number);

 private:
  WorkerProcess(uv_loop_t& loop, spawn::Child child, UniqueFd channel, std::unique_ptr<Output> output,
                Handlers handlers);
  void on_channel(int events);
  void on_exit();
  void reap();
  // False: no frame waits, or none can be read now.
  bool read_frame(bool posthumous = false);
  // junk: a packet that is no frame. error: an error of the socket; frames may follow.
  enum class Read { frame, junk, error, nothing, no_memory };
  Read receive(Frame& frame, int flags);
  void handle(Frame& frame);
  void remove_frame();
  void close_channel();
  struct Packet {
    std::string bytes;
    spawn::ReceivedFd descriptor;  // duplicated
    std::shared_ptr<const void> ticket;
  };
  enum class Written { done, full, no_memory };
  Written write_frame(const std::string& bytes, int descriptor);
  void write_outbox();
  void watch_channel();

  spawn::Child child_;
  UniqueFd channel_;
  std::unique_ptr<Output> output_;
  Handlers handlers_;
  std::deque<Packet> outbox_;
  bool pausing_ = false;  // the kernel has no memory or takes no more descriptors in flight: retry soon
  Timer pause_;
  bool has_ended_ = false;  // ended; others of the group live
  bool adopted_ = false;    // of the former image of this program, or of a killed master
  bool is_child_ = true;    // false: of a killed master, and has ended
  Timer outlived_;
  bool resting_ = false;
  Timer rest_;
  Poll exit_poll_;
  std::optional<Poll> channel_poll_;  // empty once the channel is closed
};

}  // namespace liveswap::master
