// Replaces a worker while a client is in the middle of a request: the worker must wait for the client, and
// the upgrade for the worker.
#include <fmt/format.h>

#include <future>
#include <mutex>

#include "json/fields.hpp"
#include "json/parse.hpp"
#include "verify/held_request.hpp"
#include "verify/proc.hpp"
#include "verify/stage.hpp"

namespace liveswap::verify {
namespace {

using std::chrono::seconds;

// How long the client pauses after the start of the drain.
constexpr Milliseconds client_pause{500};
constexpr Milliseconds accept_limit = seconds(5), drain_order_limit = seconds(60);

// The worker with the accepted connection; 0: none.
pid_t holder_of(const Stage& stage, std::uint16_t client) {
  const auto now = stage.application.snapshot();
  if (!now) return 0;
  for (const auto& worker : now->workers) {
    const auto clients = clients_of(worker.pid, stage.port);
    if (clients && clients->contains(client)) return worker.pid;
  }
  return 0;
}

// Workers that an upgrade has begun to drain. Written by the upgrade's thread.
class Drained {
 public:
  void take(const std::string& line) {
    const auto event = json::parse_or_null(line);
    if (json::text(event, "event") != "draining") return;
    const std::lock_guard lock(mutex_);
    pids_.insert(static_cast<pid_t>(json::number(event, "pid", 0, INT32_MAX).value_or(0)));
  }
  bool contains(pid_t pid) {
    const std::lock_guard lock(mutex_);
    return pids_.contains(pid);
  }

 private:
  std::mutex mutex_;
  std::set<pid_t> pids_;
};

Result<std::string> hold(Stage& stage, HeldRequest& held) {
  pid_t holder = 0;
  if (!stage.interrupt.wait(accept_limit, [&] { return (holder = holder_of(stage, held.port())) != 0; }))
    return fail(fmt::format("no worker accepted the connection within {} s", accept_limit.count() / 1000));
  Drained drained;
  auto upgrading = std::async(std::launch::async, [&] {
    return stage.application.upgrade(stage.current, [&](const std::string& line) { drained.take(line); });
  });
  const auto over = [&] { return upgrading.wait_for(seconds(0)) == std::future_status::ready; };
  stage.interrupt.wait(drain_order_limit, [&] { return drained.contains(holder) || over(); });
  stage.interrupt.pause(client_pause);
  const bool waited = !over();
  const auto answered = held.finish();
  const Upgrade upgrade = upgrading.get();
  if (upgrade.outcome.status != ok) return fail("the upgrade failed: " + upgrade.outcome.text);
  if (!answered) return fail("the request was lost: " + answered.error().text);
  if (!waited) return fail("the worker had gone before the request was finished");
  return fmt::format("answered {} ms after the order to drain, by the old worker", client_pause.count());
}

}  // namespace

FaultFinding inject_slow_drain(Stage& stage) {
  FaultFinding finding{Fault::slow_drain, false, "the worker waits and answers", "", {}};
  auto held = HeldRequest::begin(stage.address, stage.task.connect, stage.task.path);
  if (!held) {
    finding.found = held.error().text;
    return finding;
  }
  const auto came = hold(stage, *held);
  finding.as_expected = came.has_value();
  finding.found = came ? *came : came.error().text;
  return finding;
}

}  // namespace liveswap::verify
