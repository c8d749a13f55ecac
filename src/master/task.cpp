#include "master/task.hpp"

#include <signal.h>

#include "base/log.hpp"
#include "master/stage.hpp"

namespace liveswap::master {
namespace {

// A path, a small document, or a reason that goes to a log, a terminal and an answer.
constexpr std::size_t text_limit = 8192;

}  // namespace

Task::Task(uv_loop_t& loop, std::string name, SpawnRequest request, Milliseconds limit, Done done)
    : name_(std::move(name)), done_(std::move(done)), timer_(loop) {
  request.descriptors.resize(LIVESWAP_FD_CHANNEL + 1, -1);
  auto process = WorkerProcess::start(loop, std::move(request),
                                      {[this](const Frame& frame) { on_frame(frame); },
                                       [this](const Ending& ending) { on_ended(ending); }});
  if (!process) {
    result_ = {Result::Kind::unstarted, process.error().text, "spawn", ""};
    timer_.start(Milliseconds{0}, [this] { finish(); });
    return;
  }
  process_ = std::move(*process);
  timer_.start(limit, [this] {
    if (!answered_) result_.kind = Result::Kind::late;
    answered_ = true;
    end_group();
  });
}

Task::~Task() {
  if (process_) end_group();
}

void Task::cancel(std::function<void()> gone) {
  done_ = [gone = std::move(gone)](const Result&) { gone(); };
  answered_ = true;
  if (process_) end_group();
}

// Not reaped yet, so nobody else can have its number, nor that of its group.
void Task::end_group() {
  if (process_->pid() > 0) ::kill(-process_->pid(), SIGKILL);
  process_->signal(SIGKILL);
}

void Task::on_frame(const Frame& frame) {
  if (frame.kind == LIVESWAP_LOG) {
    process_->add_line(std::string_view(frame.text).substr(0, LIVESWAP_LOG_MAX));
    log::info("{}: {}", name_, frame.text.substr(0, LIVESWAP_LOG_MAX));
  }
  if (frame.kind == LIVESWAP_STAGED) result_.stage = result_.reached = stage_word(frame.value);
  if (answered_ || (frame.kind != LIVESWAP_HOOK_DONE && frame.kind != LIVESWAP_FAILED)) return;
  answered_ = true;
  result_.text = frame.text.substr(0, text_limit);
  if (frame.kind == LIVESWAP_FAILED) {
    result_.kind = Result::Kind::failed;
    result_.stage = stage_word(frame.value);
  } else {
    result_.kind = frame.value == 0 ? Result::Kind::done : Result::Kind::refused;
  }
  // It has said what it had to say; one that does not end by itself holds nobody up.
  end_group();
}

void Task::on_ended(const Ending& ending) {
  if (!answered_) result_.text = ending.text;
  result_.output = process_->last_output();
  finish();
}

void Task::finish() {
  timer_.stop();
  const auto done = std::move(done_);
  const Result result = std::move(result_);
  if (done) done(result);
}

}  // namespace liveswap::master
