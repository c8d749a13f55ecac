#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/error.hpp"
#include "master/workers/process_log.hpp"
#include "master/workers/worker_process.hpp"
#include "spawn/received_fd.hpp"

namespace liveswap::master {

// A short-lived process that does one thing which may hang or crash, answers, and ends: the pre-upgrade
// plugin, the intake of a release, its check. It speaks the worker channel (contract/channel.h): HOOK_DONE,
// or FAILED. Of what it writes and logs, 1 MiB and 100 lines a second reach the log of the master; how much
// more there was is said there.
//
// What a check or a hook leaves behind is ended, also what has left its process group: it runs under a
// subreaper of its own (worker/subreaper.h), which ends everything at SIGTERM. That one is given 1.5 s, then
// the process group gets SIGKILL.
class Task {
 public:
  struct Result {
    enum class Kind {
      done,      // text: the answer
      refused,   // it said that it will not (HOOK_DONE with 1): text
      failed,    // FAILED: stage and text
      silent,    // it ended without an answer: how
      late,      // its time was over
      unstarted  // it could not be started: why
    } kind = Kind::silent;
    std::string text;
    std::string stage;      // failed: at which; else as `reached`
    std::string reached{};  // the last stage that it announced (STAGED)
    std::string output{};   // what it wrote last, and logged (Tail::text())
  };
  using Done = std::function<void(const Result&)>;

  // Starts `request.program`; what it logs bears `name`. `done` is called once, on the loop, when the process
  // has been reaped (or could not be started), and may destroy the task.
  Task(uv_loop_t& loop, std::string name, SpawnRequest request, Milliseconds limit, Done done);
  Task(const Task&) = delete;
  Task& operator=(const Task&) = delete;
  // Ends what still runs, with all that it has started, and waits for that: 1.5 s at the most.
  ~Task();
  // Ends it; in place of `done`, `gone` is called once it has been reaped.
  void cancel(std::function<void()> gone);
  // What came with the answer; from `done` on.
  ReceivedFd take_descriptor() { return std::move(descriptor_); }

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
  ReceivedFd descriptor_;
  bool answered_ = false;
  ProcessLog log_;
  Timer timer_;
  std::unique_ptr<WorkerProcess> process_;
};

}  // namespace liveswap::master
