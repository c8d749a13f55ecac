#include "master/state/reexecution.hpp"

#include <fmt/format.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/log.hpp"
#include "base/tail.hpp"
#include "master/state/envelope.hpp"
#include "spawn/spawner.hpp"

namespace liveswap::master {
namespace {

constexpr Milliseconds look_again{20};
// Reading the state of 1024 workers takes less than a second.
constexpr Milliseconds trial_limit{10'000};

// The trial has the state's descriptors at the same numbers, and writes to a pipe of its own.
spawn::Request trial_request(const std::string& program, const state::Written& written) {
  spawn::Request request;
  request.program = program;
  request.arguments = {"liveswap", "--read-state", std::to_string(written.file.get())};
  for (char** entry = environ; *entry; ++entry) request.environment.emplace_back(*entry);
  const int last = *std::max_element(written.fds.begin(), written.fds.end());
  request.descriptors.resize(static_cast<std::size_t>(std::max(last, written.file.get())) + 1, -1);
  for (const int fd : written.fds) request.descriptors[fd] = fd;
  request.descriptors[written.file.get()] = written.file.get();
  request.descriptors[STDIN_FILENO] = request.descriptors[STDOUT_FILENO] = -1;
  request.descriptors[STDERR_FILENO] = log::descriptor();
  return request;
}

}  // namespace

Reexecution::Reexecution(uv_loop_t& loop, Handlers handlers)
    : loop_(loop), handlers_(std::move(handlers)), timer_(loop) {}

void Reexecution::begin(rollout::RequestId request, const std::string& program, Milliseconds limit) {
  request_ = request;
  told_.clear();
  tried_ = late_ = false;
  until_ = now() + limit;
  const auto own = state::own_path();
  if (program.empty() && !own) return fail_with(own.error().text, false);
  program_ = program.empty() ? *own : program;
  look();
}

void Reexecution::look() {
  const bool is_late = now() >= until_;
  const auto why = handlers_.unrest(is_late);
  if (!why) return tried_ ? become_quiet() : attempt();
  if (is_late) return fail_with("not re-executed: " + *why, true);
  if (*why != told_) handlers_.waiting(*request_, told_ = *why);
  timer_.start(look_again, [this] { look(); });
}

void Reexecution::attempt() {
  if (auto fit = state::check_program(program_); !fit) return fail_with(fit.error().text, true);
  auto saved = handlers_.save();
  if (auto started = start_trial(saved); !started) fail_with(started.error().text, false);
}

Result<void> Reexecution::start_trial(state::MasterState& saved) {
  const auto written = state::write(saved);
  if (!written) return tl::unexpected<Error>(written.error());
  auto request = trial_request(program_, *written);
  auto output = Output::open(loop_, request);
  if (!output) return tl::unexpected<Error>(output.error());
  (*output)->limit(0);
  auto child = spawn::spawn(request);
  if (!child) return tl::unexpected<Error>(child.error());
  int ends[2];
  // WorkerProcess watches a channel, too; nobody is at the other end of this one.
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
    return os_fail("make the channel of", "the trial", errno);
  const auto theirs = UniqueFd::adopt(ends[1]);
  auto trial = WorkerProcess::watch(loop_, std::move(*child), UniqueFd::adopt(ends[0]), std::move(*output),
                                    {[](Frame&) {}, [this](const Ending& ending) { on_tried(ending); }});
  if (!trial) return tl::unexpected<Error>(trial.error());
  trial_ = std::move(*trial);
  timer_.start(trial_limit, [this] {
    late_ = true;
    trial_->signal(SIGKILL);
  });
  return {};
}

void Reexecution::on_tried(const Ending& ending) {
  timer_.stop();
  const std::string said = trial_->last_output();
  const auto gone = std::move(trial_);
  if (late_) return fail_with(fmt::format("{} has not read the state within 10 s", program_), false);
  if (!ending.clean)
    return fail_with(
        with_output(fmt::format("{} cannot go on with the state of this master ({})", program_, ending.text),
                    said),
        false);
  if (said.find(state::is_readable) == std::string::npos)
    return fail_with(fmt::format("{} is not liveswap: it has not said that it can read the state of this "
                                 "master",
                                 program_),
                     false);
  tried_ = true;
  // Something may have begun meanwhile.
  look();
}

// The loop calls due timers, then polls. The second timer is not due before the loop has polled once.
void Reexecution::become_quiet() {
  state::block_signals();
  timer_.start(Milliseconds(0), [this] { timer_.start(Milliseconds(1), [this] { execute_if_quiet(); }); });
}

void Reexecution::execute_if_quiet() {
  if (!handlers_.unrest(now() >= until_)) return execute();
  state::release_signals();
  look();
}

void Reexecution::execute() {
  handlers_.prepare(*request_);
  auto saved = handlers_.save();
  auto written = state::write(saved);
  if (!written) return fail_with(written.error().text, false);
  log::info("executing {} in this process: generation {} and its workers go on", program_,
            saved.engine.generation);
  fail_with(state::execute({program_, saved.options.command_line, written->file.get(), written->fds}).text,
            false);
}

void Reexecution::fail_with(const std::string& text, bool refused) {
  timer_.stop();
  state::release_signals();
  const auto request = *std::exchange(request_, std::nullopt);
  handlers_.failed(request, text, refused);
}

}  // namespace liveswap::master
