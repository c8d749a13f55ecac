#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/error.hpp"
#include "master/workers/process_log.hpp"
#include "master/workers/worker_process.hpp"
#include "spawn/received_fd.hpp"

namespace liveswap::master {

// A short-lived process that may hang or crash: the pre-upgrade plugin, the store or the check. The answer
// comes by the worker channel (contract/channel.h) with TASK_DONE or FAILED. At most 1 MiB of output and
// 100 log lines a second reach the master's log, which states what was left out.
//
// Descendants are ended too, even outside the process group: the process runs under a subreaper
// (worker/subreaper.h) that ends all of them at SIGTERM. 1.5 s later the process group gets SIGKILL.
class Task {
 public:
  struct Result {
    enum class Kind {
      done,      // text: the answer
      refused,   // TASK_DONE with 1; text: why
      failed,    // FAILED: stage and text
      silent,    // ended without an answer; text: how
      late,      // exceeded the limit
      unstarted  // could not be started; text: why
    } kind = Kind::silent;
    std::string text;
    std::string stage;      // failed: the stage; else as `reached`
    std::string reached{};  // the last stage announced (STAGED)
    std::string output{};   // the last lines of output and log (Tail::text())
  };
  using Done = std::function<void(const Result&)>;

  // Starts `request.program`; log lines begin with `name`. `done` is called once, on the loop, when the
  // process has been reaped or could not be started; `done` may destroy the task.
  Task(uv_loop_t& loop, std::string name, spawn::Request request, Milliseconds limit, Done done);
  Task(const Task&) = delete;
  Task& operator=(const Task&) = delete;
  // Ends the process and all descendants. Blocks for at most 1.5 s.
  ~Task();
  // Ends the process; after the reaping, `gone` is called instead of `done`.
  void cancel(std::function<void()> gone);
  // The descriptor that came with the answer; valid from `done` on.
  spawn::ReceivedFd take_descriptor() { return std::move(descriptor_); }

 private:
  void on_frame(Frame& frame);
  void on_ended(const Ending& ending);
  void finish();
  void end();
  void kill_group();

  LineLimit::Time now() const;

  uv_loop_t& loop_;
  std::string name_;
  Done done_;
  Result result_;
  spawn::ReceivedFd descriptor_;
  bool answered_ = false;
  ProcessLog log_;
  Timer timer_;
  std::unique_ptr<WorkerProcess> process_;
};

}  // namespace liveswap::master
