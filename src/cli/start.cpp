#include <fmt/format.h>

#include <sstream>

#include "cli/daemon.hpp"
#include "cli/run_command.hpp"
#include "cli/start_options.hpp"
#include "cli/terminal.hpp"

namespace liveswap::cli {
namespace {

// run() has completed the commands that its texts name.
int report(const Outcome& outcome) {
  if (outcome.status != ok) complain(outcome.text);
  return outcome.status;
}

// The master in the background complains of its outcome too, into its log: these lines are not said twice.
std::string with_log_end(const std::string& text, const std::string& log_end, const std::string& log_file) {
  const std::string told = complaint(text);
  std::string more;
  std::istringstream lines(log_end);
  for (std::string line; std::getline(lines, line);)
    if (told.find(line) == std::string::npos) more += "\n    " + line;
  return text + "\nits log, " + log_file + (more.empty() ? ", says no more" : ", ends with:") + more;
}

int start_daemon(Options options) {
  const auto port = options.port;
  if (const auto prepared = prepare_log(options); prepared.status != ok) return report(prepared);
  const auto detached =
      run_in_background(options, [](const Options& settled) { return liveswap::run(settled); });
  const bool runs = !detached.child && detached.outcome.status == ok;
  if (runs && !detached.outcome.text.empty()) complain(detached.outcome.text);
  if (runs) print(fmt::format("master {} on port {}: all workers are ready\n", detached.pid, port));
  if (detached.child || detached.outcome.status == ok) return report(detached.outcome);
  return report(
      {detached.outcome.status, with_log_end(detached.outcome.text, detached.log_end, options.log_file)});
}

}  // namespace

int run_start(const Arguments& arguments) {
  auto options = start_options(arguments);
  if (!options) return report({usage, options.error().text});
  // This process is the master's alone.
  options->reap_children = true;
  if (arguments.daemon) return start_daemon(std::move(*options));
  // Without a log file the log is on the terminal, and says it.
  if (!options->log_file.empty()) options->on_notice = complain;
  return report(liveswap::run(*options));
}

}  // namespace liveswap::cli
