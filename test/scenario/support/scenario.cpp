#include "support/scenario.hpp"

#include <doctest/doctest.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <iostream>
#include <utility>
#include <vector>

#include "support/eventually.hpp"
#include "support/file.hpp"
#include "support/proc.hpp"

namespace scenario {
namespace {

constexpr std::size_t shown_lines = 60;

std::vector<std::pair<std::string, std::string>> to_show;

// doctest knows only after the last destructor whether the test has failed.
struct FailureLog : doctest::IReporter {
  explicit FailureLog(const doctest::ContextOptions&) {}
  void report_query(const doctest::QueryData&) override {}
  void test_run_start() override {}
  void test_run_end(const doctest::TestRunStats&) override {}
  void test_case_start(const doctest::TestCaseData&) override { to_show.clear(); }
  void test_case_reenter(const doctest::TestCaseData&) override {}
  void test_case_exception(const doctest::TestCaseException&) override {}
  void subcase_start(const doctest::SubcaseSignature&) override {}
  void subcase_end() override {}
  void log_assert(const doctest::AssertData&) override {}
  void log_message(const doctest::MessageData&) override {}
  void test_case_skipped(const doctest::TestCaseData&) override {}
  void test_case_end(const doctest::CurrentTestCaseStats& stats) override {
    if (stats.testCaseSuccess) return;
    for (const auto& [title, text] : to_show) {
      const auto lines = lines_of(text);
      std::cout << "--- " << title << '\n';
      for (std::size_t i = lines.size() > shown_lines ? lines.size() - shown_lines : 0; i < lines.size(); ++i)
        std::cout << "    " << lines[i] << '\n';
    }
  }
};
REGISTER_LISTENER("failure log", 1, FailureLog);

// A process whose main thread has exited is a zombie, but it can only be reaped after its other threads have
// exited.
void wait_for_dying() {
  eventually([] {
    while (::waitpid(-1, nullptr, WNOHANG) > 0) {
    }
    const auto all = proc::descendants(::getpid());
    return std::all_of(all.begin(), all.end(), proc::runs);
  });
}

}  // namespace

void show_on_failure(const std::string& title, const std::string& text) { to_show.emplace_back(title, text); }

// Orphans become children of the test process, so that they can be seen and waited for.
Scenario::Scenario() {
  ::signal(SIGPIPE, SIG_IGN);
  REQUIRE(::prctl(PR_SET_CHILD_SUBREAPER, 1) == 0);
}

Scenario::~Scenario() {
  std::string left;
  wait_for_dying();
  for (const pid_t pid : proc::descendants(::getpid())) {
    left += '\n';
    for (const auto& word : proc::arguments(pid)) left += ' ' + word;
    ::kill(pid, SIGKILL);
  }
  while (::waitpid(-1, nullptr, 0) > 0) {
  }
  CHECK_MESSAGE(left.empty(), "processes were left behind:", left);
}

}  // namespace scenario
