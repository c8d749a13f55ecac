#include <fmt/format.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>

#include "base/file.hpp"
#include "load/program/command_line.hpp"
#include "load/program/report.hpp"
#include "load/runner.hpp"

namespace liveswap::load {
namespace {

enum Exit { all_well = 0, some_failed = 1, usage = 2, books_do_not_match = 70 };

Time cpu_used() {
  rusage used{};
  ::getrusage(RUSAGE_SELF, &used);
  return std::chrono::seconds(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
         std::chrono::microseconds(used.ru_utime.tv_usec + used.ru_stime.tv_usec);
}

int complain(const std::string& text) {
  fmt::print(stderr, "liveswap-load: {}\n", text);
  return usage;
}

// Output for people may fail: the exit status and the JSON are what counts.
void say(std::FILE* people, const std::string& text) {
  std::fputs(text.c_str(), people);
  std::fflush(people);
}

Result<void> write_json(const std::string& where, const std::string& json) {
  if (where.empty()) return {};
  if (where != "-") return replace_file(where, json, 0644);
  if (std::fputs(json.c_str(), stdout) < 0 || std::fflush(stdout) != 0)
    return os_fail("write", "the JSON", errno);
  return {};
}

int verdict_on(const Report& report) {
  if (const auto mismatch = report.accounting.mismatch()) {
    fmt::print(stderr, "liveswap-load: the books do not match: {}\n", *mismatch);
    return books_do_not_match;
  }
  const Tally& total = report.accounting.total;
  if (total.attempts == 0) fmt::print(stderr, "liveswap-load: no attempt was made, which proves nothing\n");
  const bool well = total.attempts > 0 && total.failures() == 0 && report.connections.idle_garbage == 0;
  return well ? all_well : some_failed;
}

int run(const CommandLine& options) {
  std::FILE* const people = options.json == "-" ? stderr : stdout;
  Accounting accounting(options.bucket);
  Runner runner(options, accounting, [people](const std::string& line) { say(people, line + "\n"); });
  const auto done = runner.run();
  const Report report{options,          accounting, runner.connections(), accounting.timeline.close(),
                      runner.elapsed(), cpu_used()};
  say(people, as_text(report));
  if (auto written = write_json(options.json, as_json(report)); !written)
    return complain(written.error().text);
  return done ? verdict_on(report) : complain(done.error().text);
}

}  // namespace
}  // namespace liveswap::load

int main(int argc, char** argv) {
  using namespace liveswap::load;
  // Without a reader of the output, the results must still reach the file.
  ::signal(SIGPIPE, SIG_IGN);
  const auto options = parse_options(argc, argv);
  if (!options) return complain(options.error().text);
  if (!*options) {
    fmt::print("{}", help_text());
    return all_well;
  }
  // The last resort against a run that does not end.
  const auto longest = (*options)->duration + (*options)->timeout + (*options)->slow_timeout;
  ::alarm(static_cast<unsigned>(std::chrono::duration_cast<std::chrono::seconds>(longest).count()) + 60);
  return run(**options);
}
