#include "master/preparation/task.hpp"

#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>

#include "base/log.hpp"

namespace liveswap::master {
namespace {

// The longest text of an answer, in bytes: the text goes to a log, a terminal and a client.
constexpr std::size_t text_limit = 8192;

// The longest text about a left process, in bytes: "4711 name".
constexpr std::size_t left_limit = 64;

// After SIGTERM, for the worker host to end all descendants (worker/subreaper.h). SIGKILL then reaches the
// process group only.
constexpr Milliseconds term_grace{1'500};

// Limits for each process: bytes on standard output and error, and lines by liveswap_log.
constexpr std::size_t output_limit = 1024 * 1024;
constexpr unsigned lines_limit = 100;
constexpr Milliseconds lines_period{1'000};

}  // namespace

Task::Task(uv_loop_t& loop, std::string name, spawn::Request request, Milliseconds limit, Done done)
    : loop_(loop),
      name_(std::move(name)),
      done_(std::move(done)),
      log_(lines_limit, lines_period),
      timer_(loop) {
  request.descriptors.resize(LIVESWAP_FD_CHANNEL + 1, -1);
  auto process = WorkerProcess::start(
      loop, std::move(request),
      {[this](Frame& frame) { on_frame(frame); }, [this](const Ending& ending) { on_ended(ending); }});
  if (!process) {
    result_ = {Result::Kind::unstarted, process.error().text, "spawn", ""};
    timer_.start(Milliseconds{0}, [this] { finish(); });
    return;
  }
  process_ = std::move(*process);
  process_->limit_output(output_limit);
  timer_.start(limit, [this] {
    if (!answered_) result_.kind = Result::Kind::late;
    answered_ = true;
    end();
  });
}

// Blocks until the process and all descendants have ended.
Task::~Task() {
  if (!process_ || process_->pid() <= 0) return;
  process_->signal(SIGTERM);
  const auto pidfd = UniqueFd::adopt(static_cast<int>(::syscall(SYS_pidfd_open, process_->pid(), 0)));
  pollfd ended{pidfd.get(), POLLIN, 0};
  const auto end = std::chrono::steady_clock::now() + term_grace;
  for (auto left = term_grace; left.count() > 0;
       left = std::chrono::ceil<Milliseconds>(end - std::chrono::steady_clock::now())) {
    const int found = ::poll(&ended, 1, static_cast<int>(left.count()));
    if (found >= 0 || errno != EINTR) break;
  }
  kill_group();
}

void Task::cancel(std::function<void()> gone) {
  done_ = [gone = std::move(gone)](const Result&) { gone(); };
  answered_ = true;
  if (process_) end();
}

// SIGTERM makes the worker host end all descendants.
void Task::end() {
  process_->signal(SIGTERM);
  timer_.start(term_grace, [this] { kill_group(); });
}

// Not reaped, so pid and group are not reused.
void Task::kill_group() {
  if (process_->pid() > 0) ::kill(-process_->pid(), SIGKILL);
  process_->signal(SIGKILL);
}

void Task::on_frame(Frame& frame) {
  if (frame.kind == LIVESWAP_LOG) {
    process_->add_line(std::string_view(frame.text).substr(0, LIVESWAP_LOG_MAX));
    log_.write(log::Level::info, name_, std::string_view(frame.text).substr(0, LIVESWAP_LOG_MAX), now());
  }
  if (frame.kind == LIVESWAP_LEFT)
    // A log key of its own: what the process logs must not suppress this line.
    log::seldom({"processes that a check or a plugin has left", 100}, log::Level::warning,
                "{}: it has left a process running, which has been killed: {}", name_,
                frame.text.substr(0, left_limit));
  if (frame.kind == LIVESWAP_STAGED) result_.stage = result_.reached = stage_word(frame.value);
  if (answered_ || (frame.kind != LIVESWAP_TASK_DONE && frame.kind != LIVESWAP_FAILED)) return;
  answered_ = true;
  result_.text = frame.text.substr(0, text_limit);
  descriptor_ = std::move(frame.descriptor);
  if (frame.kind == LIVESWAP_FAILED) {
    result_.kind = Result::Kind::failed;
    result_.stage = stage_word(frame.value);
  } else {
    result_.kind = frame.value == 0 ? Result::Kind::done : Result::Kind::refused;
  }
  // The answer is here: do not wait for the process to end by itself.
  end();
}

void Task::on_ended(const Ending& ending) {
  if (!answered_) result_.text = ending.text;
  result_.output = process_->last_output();
  if (const auto count = process_->output_left_out(); count > 0)
    log::warning("{}: {} more bytes that it wrote were left out", name_, count);
  log_.end(name_);
  finish();
}

LineLimit::Time Task::now() const { return LineLimit::Time(uv_now(&loop_)); }

void Task::finish() {
  timer_.stop();
  const auto done = std::move(done_);
  const Result result = std::move(result_);
  if (done) done(result);
}

}  // namespace liveswap::master
