#include "verify/proof.hpp"

#include <fmt/format.h>

#include <charconv>
#include <exception>

#include "verify/stage.hpp"

namespace liveswap::verify {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::seconds;

constexpr Milliseconds listener_limit = seconds(5), first_answer_limit = seconds(15),
                       whole_limit = seconds(10), descendants_limit = seconds(5);
// Load continues this long after a step, and after the last one.
constexpr Milliseconds after_step{200}, after_all{1500};

class Proof {
 public:
  Proof(const Task& task, Interrupt& interrupt, const std::function<void(const std::string&)>& say)
      : task_(task), interrupt_(interrupt), say_(say) {}

  Result<Findings> run();

 private:
  Result<void> run_in(const Workplace& place);
  Result<void> exercise(const Workplace& place, Application& application);
  Result<void> wait_for_answers(Stage& stage);
  void take_steps(Stage& stage);
  bool upgrade(Stage& stage);
  bool hurt(Stage& stage, Fault fault);
  void conclude(Stage& stage);
  void say(const std::string& text) const;

  const Task& task_;
  Interrupt& interrupt_;
  const std::function<void(const std::string&)>& say_;
  Clock::time_point begun_ = Clock::now();
  Findings findings_;
};

void Proof::say(const std::string& text) const {
  say_(fmt::format("{:5.1f} s  {}", std::chrono::duration<double>(Clock::now() - begun_).count(), text));
}

Result<Findings> Proof::run() {
  auto place = Workplace::make();
  if (!place) return tl::unexpected<Error>(place.error());
  become_subreaper();
  Result<void> done;
  try {
    done = run_in(*place);
  } catch (const std::exception& error) {
    // An unexpected line of the master, or no memory. Destructors have already stopped everything.
    done = fail(error.what());
  }
  findings_.left = kill_descendants(descendants_limit);
  if (interrupt_.number() != 0) return fail("interrupted");
  if (!done) return tl::unexpected<Error>(done.error());
  findings_.length = std::chrono::round<Milliseconds>(Clock::now() - begun_);
  return std::move(findings_);
}

// The application has ended on return.
Result<void> Proof::run_in(const Workplace& place) {
  Application application(task_, place, interrupt_);
  if (auto started = application.start(); !started) return started;
  return exercise(place, application);
}

// Replaces a wildcard address by loopback.
std::string to_connect_to(const std::string& address) {
  const auto colon = address.rfind(':');
  const std::string host = address.substr(0, colon), port = address.substr(colon);
  if (host == "0.0.0.0" || host == "*") return "127.0.0.1" + port;
  return host == "[::]" ? "[::1]" + port : address;
}

Result<void> Proof::exercise(const Workplace& place, Application& application) {
  // A listener bound by the application may come after readiness.
  const auto now =
      application.wait_until(listener_limit, [](const auto& seen) { return !seen.address.empty(); });
  if (!now) return tl::unexpected<Error>(now.error());
  if (now->address.empty())
    return fail(
        "the application listens nowhere: --listen 127.0.0.1:0 gives it a listener, with --entry main it "
        "binds "
        "its own");
  const auto colon = now->address.rfind(':');
  if (now->address.starts_with("unix:") || colon == std::string::npos)
    return fail(
        fmt::format("the first listener is \"{}\", expected one of TCP: --listen 127.0.0.1:0", now->address));
  const std::string address = to_connect_to(now->address);
  std::uint16_t port = 0;
  std::from_chars(now->address.data() + colon + 1, now->address.data() + now->address.size(), port);
  auto clients = Clients::start({address, task_.path, task_.connect, task_.clients});
  if (!clients) return tl::unexpected<Error>(clients.error());
  Stage stage{task_, place, interrupt_, application, **clients, address, port, task_.library, findings_};
  if (auto answered = wait_for_answers(stage); !answered) return answered;
  say(fmt::format("{} workers serve on {}; {} clients have answers", now->slots, address, task_.clients));
  stage.clients.mark("before");
  interrupt_.pause(task_.before);
  take_steps(stage);
  conclude(stage);
  return {};
}

Result<void> Proof::wait_for_answers(Stage& stage) {
  if (interrupt_.wait(first_answer_limit, [&] { return stage.clients.answered(); })) return {};
  if (interrupt_.number() != 0) return fail("interrupted");
  const Measured measured = stage.clients.stop();
  const std::string reason =
      measured.losses.empty() ? "no answer came at all" : "first, " + measured.losses.front().reason;
  return fail(
      fmt::format("not every client got an answer from {} within {} s ({}); --path and --connect say what"
                  " is asked for",
                  stage.address, first_answer_limit.count() / 1000, reason));
}

// Spreads the faults evenly between good upgrades. Stops after an unexpected failure.
void Proof::take_steps(Stage& stage) {
  const std::size_t turns = std::max<std::size_t>(task_.upgrades, 1), count = task_.faults.size();
  std::size_t fault = 0;
  for (std::size_t turn = 0; turn < turns; ++turn) {
    if (task_.upgrades > 0 && !upgrade(stage)) return;
    for (; fault < (turn + 1) * count / turns; ++fault)
      if (!hurt(stage, task_.faults[fault])) return;
  }
}

bool Proof::upgrade(Stage& stage) {
  if (interrupt_.number() != 0) return false;
  const std::string to = stage.current == task_.library ? task_.second : task_.library;
  stage.clients.mark("upgrades");
  Upgrade upgrade = stage.application.upgrade(to);
  const bool well = upgrade.outcome.status == ok;
  if (well) stage.current = to;
  const std::size_t number = findings_.upgrades.size() + 1;
  say(fmt::format("upgrade {:>2} of {}     {}", number, task_.upgrades,
                  well ? fmt::format("{} ms", upgrade.length.count()) : "FAILED: " + upgrade.outcome.text));
  findings_.upgrades.push_back(std::move(upgrade));
  if (!well) findings_.cut_short = fmt::format("upgrade {} of {} failed", number, task_.upgrades);
  interrupt_.pause(after_step);
  return well;
}

bool Proof::hurt(Stage& stage, Fault fault) {
  if (interrupt_.number() != 0) return false;
  stage.clients.mark(std::string(word(fault)));
  FaultFinding finding = inject(stage, fault);
  say(fmt::format("{:<17}  {}{}", word(fault),
                  finding.as_expected ? "" : "NOT AS EXPECTED: ", finding.found));
  findings_.faults.push_back(std::move(finding));
  interrupt_.pause(after_step);
  const auto now = stage.application.wait_until(whole_limit, [](const auto& seen) { return seen.whole(); });
  if (now && now->whole()) return true;
  findings_.cut_short = fmt::format("after {} not every slot had a worker that was ready", word(fault));
  return false;
}

void Proof::conclude(Stage& stage) {
  stage.clients.mark("after");
  interrupt_.pause(after_all);
  if (const auto now = stage.application.snapshot()) {
    findings_.whole_at_end = now->whole();
    findings_.restarts = now->restarts;
  }
  findings_.measured = stage.clients.stop();
  if (interrupt_.number() != 0) return;
  if (auto stopped = stage.application.stop(); !stopped) findings_.stopped = stopped.error().text;
  say("stopped");
}

}  // namespace

Result<Findings> prove(const Task& task, Interrupt& interrupt,
                       const std::function<void(const std::string&)>& say) {
  return Proof(task, interrupt, say).run();
}

}  // namespace liveswap::verify
