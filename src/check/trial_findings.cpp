#include <fmt/format.h>
#include <fmt/ranges.h>
#include <string.h>

#include "base/tail.hpp"
#include "check/findings.hpp"

namespace liveswap::checks {
namespace {

using Level = CheckFinding::Level;

// Exit status of the dynamic linker after an error that dlopen() cannot return.
constexpr int loader_gave_up = 127;

std::string kind_of(int stage) {
  switch (static_cast<liveswap_stage>(stage)) {
    case LIVESWAP_STAGE_OPEN: return "open";
    case LIVESWAP_STAGE_LINK: return "load";
    case LIVESWAP_STAGE_ENTRY: return "entry";
    case LIVESWAP_STAGE_ABI: return "abi";
    case LIVESWAP_STAGE_SELFTEST: return "selftest";
    case LIVESWAP_STAGE_SYNTAX: return "syntax";
    case LIVESWAP_STAGE_SPAWN:
    case LIVESWAP_STAGE_START:
    case LIVESWAP_STAGE_READY:
    case LIVESWAP_STAGE_RUN: break;  // not reached by a check
  }
  return "host";
}

// The code that was running at that stage.
std::string running_code(int stage) {
  if (stage == LIVESWAP_STAGE_SELFTEST) return "liveswap_selftest";
  if (stage == LIVESWAP_STAGE_SYNTAX) return "the runtime's check of the script";
  return stage == LIVESWAP_STAGE_LINK ? "a constructor" : "the worker host";
}

std::string signal_name(int number) {
  const char* name = ::sigabbrev_np(number);
  return name ? fmt::format("SIG{}", name) : fmt::format("signal {}", number);
}

std::string time_text(std::chrono::microseconds time) {
  return time < std::chrono::milliseconds(10)
             ? fmt::format("{:.1f} ms", static_cast<double>(time.count()) / 1000)
             : fmt::format("{} ms", time.count() / 1000);
}

std::string last_line(const std::string& output) {
  Tail tail;
  tail.append(output);
  const std::string lines = tail.text();
  return lines.substr(lines.rfind('\n') + 1);  // npos + 1: the whole text
}

// The last line of output, for an exit without an explanation.
std::string last_output(const Trial& trial) {
  const auto line = last_line(trial.end.output);
  if (!trial.log.empty() && line.empty()) return "; the last it said: " + trial.log.back();
  return line.empty() ? "" : "; it wrote last: " + line;
}

CheckFinding overdue(const Trial& trial, Milliseconds limit) {
  return {Level::error, kind_of(trial.stage),
          fmt::format("{} has not returned within {} ms{}", running_code(trial.stage), limit.count(),
                      last_output(trial)),
          trial.stage == LIVESWAP_STAGE_SELFTEST
              ? "make the self-test shorter, or raise --check-limit"
              : "do what takes long in liveswap_main, after liveswap_defer_ready(), or raise --check-limit"};
}

CheckFinding died(const Trial& trial) {
  return {Level::error, kind_of(trial.stage),
          fmt::format("{} died of {}{}", running_code(trial.stage), signal_name(trial.end.number),
                      last_output(trial)),
          "a core dump of liveswap-worker shows where: `ulimit -c unlimited`, or coredumpctl"};
}

CheckFinding exited(const Trial& trial) {
  const int status = trial.end.number;
  if (trial.stage == LIVESWAP_STAGE_LINK && status == loader_gave_up &&
      trial.end.output.find("ld.so") != std::string::npos)
    return {Level::error, kind_of(trial.stage),
            "the dynamic loader ended the process by exit: " + last_line(trial.end.output),
            "the file is damaged: build or copy it again"};
  return {Level::error, kind_of(trial.stage),
          fmt::format("{} ended the process by exit, status {}{}", running_code(trial.stage), status,
                      last_output(trial)),
          "take the exit out: let liveswap_selftest or liveswap_main say what is wrong, by what they return"};
}

CheckFinding rejected(const std::string& path, const Trial& trial) {
  // A runtime says more than one line about a script: the report has the others in its output.
  CheckFinding finding{Level::error, kind_of(trial.stage), trial.failure.substr(0, trial.failure.find('\n')),
                       ""};
  if (trial.stage == LIVESWAP_STAGE_SELFTEST && !trial.log.empty())
    finding.text += "; the last it said: " + trial.log.back();
  else if (trial.stage == LIVESWAP_STAGE_SELFTEST) finding.text += last_output(trial);
  if (trial.stage == LIVESWAP_STAGE_LINK && finding.text.rfind(path, 0) != 0)
    finding.text = path + ": " + finding.text;
  return finding;
}

CheckFinding failure_of(const std::string& path, const Trial& trial, Milliseconds limit) {
  if (!trial.failure.empty()) return rejected(path, trial);
  switch (trial.end.how) {
    case ChildEnd::How::overdue: return overdue(trial, limit);
    case ChildEnd::How::killed: return died(trial);
    case ChildEnd::How::exited: return exited(trial);
  }
  return {};
}

void add_exit(Findings& findings, const ChildEnd& end) {
  const std::string always = "workers run the same when they have drained";
  if (end.how == ChildEnd::How::overdue)
    findings.push_back(
        {Level::warning, "exit",
         fmt::format("its process had not ended {} ms after the check: a destructor or exit handler "
                     "blocks",
                     exit_limit.count()),
         always + ": each would stay until the drain limit, and be killed. End what runs before "
                  "liveswap_main returns"});
  if (end.how == ChildEnd::How::killed)
    findings.push_back({Level::warning, "exit",
                        fmt::format("a destructor or exit handler died of {}", signal_name(end.number)),
                        always + ": each would count as crashed. End threads before liveswap_main returns"});
  if (end.how == ChildEnd::How::exited && end.number != 0)
    findings.push_back(
        {Level::warning, "exit",
         fmt::format("a destructor or exit handler made the exit status {}, expected 0", end.number),
         always + ": each would count as failed"});
}

void add_left(Findings& findings, const Trial& trial) {
  if (trial.threads > 0)
    findings.push_back({Level::warning, "threads",
                        fmt::format("its constructors or self-test have left {} thread{} running",
                                    trial.threads, trial.threads == 1 ? "" : "s"),
                        "start threads in liveswap_main, and end them before it returns: at exit they would "
                        "use objects already destroyed"});
  for (const LeftProcess& process : trial.end.left)
    findings.push_back({Level::warning, "processes",
                        fmt::format("it has left the process {} ({}) running{}{}", process.pid, process.name,
                                    process.in_group ? "" : ", in a group of its own",
                                    process.ended ? ", which has been killed" : ": it goes on"),
                        "start processes in liveswap_main, and end them before it returns"});
}

void add_launch(Findings& findings, const Trial& trial) {
  if (trial.kind == "program") {
    findings.push_back(
        {Level::fine, "load", "it is a program, and the worker host can be loaded into it", ""});
    return;
  }
  findings.push_back({Level::fine, "load",
                      fmt::format("it is a script, and {}{} runs it", trial.runtime,
                                  trial.version.empty() ? "" : " (" + trial.version + ")"),
                      ""});
  findings.push_back({Level::fine, "syntax",
                      trial.stage == LIVESWAP_STAGE_SYNTAX
                          ? "its runtime finds no error in it, in " + time_text(trial.selftest)
                          : "no check of its runtime is known",
                      ""});
}

}  // namespace

Findings trial_findings(const std::string& path, const Trial& trial, Milliseconds limit) {
  Findings findings;
  if (!trial.passed) {
    findings.push_back(failure_of(path, trial, limit));
  } else if (!trial.kind.empty()) {
    add_launch(findings, trial);
  } else {
    findings.push_back({Level::fine, "load", "it loads in " + time_text(trial.load), ""});
    findings.push_back({Level::fine, "selftest",
                        trial.stage == LIVESWAP_STAGE_SELFTEST
                            ? "its self-test passes in " + time_text(trial.selftest)
                            : "it has no self-test, which is optional (liveswap_selftest)",
                        ""});
    add_exit(findings, trial.end);
  }
  add_left(findings, trial);
  return findings;
}

}  // namespace liveswap::checks
