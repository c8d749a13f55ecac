#include "verify/stage.hpp"

#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>

#include "verify/proc.hpp"

namespace liveswap::verify {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::seconds;

constexpr Milliseconds recovery_limit = seconds(10);

std::string file_of(Fault fault) {
  std::string name = "lib" + std::string(word(fault)) + ".so";
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
}

// An upgrade that must be rejected without effect on clients.
FaultFinding inject_bad_release(Stage& stage, Fault fault) {
  FaultFinding finding{fault, false, "turned down, the old code serves", "", {}};
  const std::string library = stage.task.fault_directory + "/" + file_of(fault);
  if (stage.task.fault_directory.empty() || ::access(library.c_str(), R_OK) != 0) {
    finding.found = "no " + file_of(fault) + " to do it with; is liveswap installed as a whole?";
    return finding;
  }
  const auto before = stage.application.snapshot();
  const Upgrade upgrade = stage.application.upgrade(library);
  const auto after =
      stage.application.wait_until(recovery_limit, [](const auto& now) { return now.whole(); });
  const int status = upgrade.outcome.status;
  if (status == ok) finding.found = "it was accepted";
  else if (!before || !after)
    finding.found = "no answer from the master: " + (before ? after : before).error().text;
  else if (!after->whole() || after->releases() != before->releases() || after->head != before->head)
    finding.found = "turned down, but the old code is not in every slot again";
  else if (status != reverted && status != failed && status != refused) finding.found = upgrade.outcome.text;
  else finding.as_expected = true, finding.found = "turned down: " + upgrade.outcome.text;
  return finding;
}

FaultFinding play_killed_worker(Stage& stage) {
  FaultFinding finding{Fault::killed_worker, false, "another one takes its place", "", {}};
  const auto killed = kill_worker(stage);
  finding.as_expected = killed.has_value();
  finding.found = killed ? *killed : killed.error().text;
  return finding;
}

}  // namespace

// SIGSTOP first, so that the worker accepts no connection after the list is made. Connections in the accept
// queue survive the worker.
Result<std::string> kill_worker(Stage& stage) {
  const auto before = stage.application.snapshot();
  if (!before) return tl::unexpected<Error>(before.error());
  if (!before->whole()) return fail("not every slot has a worker that is ready");
  const pid_t pid = before->workers.front().pid;
  const auto process = open_process(pid);
  const auto siblings = children_of(stage.application.pid());
  if (!process || std::find(siblings.begin(), siblings.end(), pid) == siblings.end())
    return fail(fmt::format("worker {} has gone before it could be killed", pid));
  signal_process(process, SIGSTOP);
  stage.interrupt.wait(seconds(2), [&] { return state_of(pid) == 'T'; });
  auto clients = clients_of(pid, stage.port);
  const auto begun = Clock::now();
  signal_process(process, SIGKILL);
  if (!clients) return tl::unexpected<Error>(clients.error());
  const auto connections = clients->size();
  stage.findings.killed.push_back({begun, std::move(*clients)});
  const auto after = stage.application.wait_until(
      recovery_limit, [&](const auto& now) { return now.whole() && !now.pids().contains(pid); });
  if (!after) return tl::unexpected<Error>(after.error());
  if (!after->whole() || after->pids().contains(pid))
    return fail(fmt::format("no worker was ready in its slot after {} s", recovery_limit.count() / 1000));
  const auto took = std::chrono::round<Milliseconds>(Clock::now() - begun);
  return fmt::format("another one was ready after {} ms; {} connection{} died with it", took.count(),
                     connections, connections == 1 ? "" : "s");
}

FaultFinding inject(Stage& stage, Fault fault) {
  const auto begun = Clock::now();
  FaultFinding finding;
  switch (fault) {
    case Fault::crash_at_load:
    case Fault::crash_at_start:
    case Fault::hang_at_load:
    case Fault::never_ready:
    case Fault::returns_at_once: finding = inject_bad_release(stage, fault); break;
    case Fault::slow_drain: finding = inject_slow_drain(stage); break;
    case Fault::killed_worker: finding = play_killed_worker(stage); break;
    case Fault::overwrite: finding = inject_overwrite(stage); break;
  }
  finding.length = std::chrono::round<Milliseconds>(Clock::now() - begun);
  return finding;
}

}  // namespace liveswap::verify
