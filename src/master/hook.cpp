#include "master/hook.hpp"

#include <fmt/format.h>
#include <signal.h>

#include "base/log.hpp"

namespace liveswap::master {
namespace {

// A path, or a reason that goes to a log, a terminal and an answer.
constexpr std::size_t text_limit = 4096;

}  // namespace

Result<std::unique_ptr<Hook>> Hook::start(uv_loop_t& loop, SpawnRequest base, const std::string& plugin,
                                          const std::string& value, Done done, std::function<void()> gone) {
  std::unique_ptr<Hook> hook(new Hook(plugin));
  hook->done_ = std::move(done);
  hook->gone_ = std::move(gone);
  base.arguments = {"liveswap-worker", "--hook", plugin, value};
  base.descriptors.resize(LIVESWAP_FD_CHANNEL + 1, -1);
  auto process = WorkerProcess::start(
      loop, std::move(base),
      {[hook = hook.get()](const Frame& frame) { hook->on_frame(frame); },
       [hook = hook.get()](const Ending& ending) {
         const auto gone = std::move(hook->gone_);
         if (hook->done_) hook->done_(hook->result(ending));
         gone();  // destroys the hook
       }});
  if (!process) return tl::unexpected<Error>(process.error());
  hook->process_ = std::move(*process);
  return hook;
}

void Hook::cancel() {
  done_ = nullptr;
  // The process has not been reaped, so nobody else can have its number, nor that of its group.
  ::kill(-process_->pid(), SIGKILL);
}

void Hook::on_frame(const Frame& frame) {
  if (frame.kind == LIVESWAP_LOG)
    log::info("pre-upgrade plugin: {}", frame.text.substr(0, LIVESWAP_LOG_MAX));
  if (answered_ || (frame.kind != LIVESWAP_HOOK_DONE && frame.kind != LIVESWAP_FAILED)) return;
  answered_ = true;
  failed_ = frame.kind == LIVESWAP_FAILED || frame.value != 0;
  text_ = frame.text.substr(0, text_limit);
  loaded_ = frame.kind == LIVESWAP_HOOK_DONE;
  // It has said what it had to say; a plugin that does not return holds nobody up.
  process_->signal(SIGKILL);
}

Result<std::string> Hook::result(const Ending& ending) const {
  const std::string who = fmt::format("the pre-upgrade plugin {} ", plugin_);
  if (!answered_) return fail(who + "ended without an answer: " + ending.text);
  if (!loaded_) return fail(who + "cannot be used: " + text_);
  if (failed_) return fail(who + "refused: " + text_);
  if (text_.find('\0') != std::string::npos || text_.find('\n') != std::string::npos)
    return fail(who + "gave a path with a line break or NUL in it");
  return text_;
}

}  // namespace liveswap::master
