#include <fmt/format.h>

#include <sstream>

#include "cli/daemon.hpp"
#include "cli/run_command.hpp"
#include "cli/start_options.hpp"
#include "cli/terminal.hpp"
#include "client/command_line.hpp"
#include "protocol/command_line.hpp"

namespace liveswap::cli {
namespace {

int report(const Outcome& outcome, const Options& options) {
  Client::Where where;
  where.port = options.port;
  where.address = options.address;
  where.runtime_dir = options.runtime_dir;
  where.state_dir = options.state_dir;
  if (outcome.status != ok) complain(protocol::with_options(outcome.text, client::options_of(where)));
  return outcome.status;
}

int start_daemon(Options options) {
  const auto port = options.port;
  if (const auto prepared = prepare_log(options); prepared.status != ok) return report(prepared, options);
  const std::string log_file = options.log_file;
  const auto detached =
      run_in_background(options, [](const Options& settled) { return liveswap::run(settled); });
  const bool runs = !detached.child && detached.outcome.status == ok;
  if (runs && !detached.outcome.text.empty()) complain(detached.outcome.text);
  if (runs)
    print(fmt::format("master {} on port {}: all workers are ready\n", detached.pid, port));
  if (detached.child || detached.outcome.status == ok) return report(detached.outcome, options);
  Outcome outcome = detached.outcome;
  outcome.text += "\nits log, " + log_file + (detached.log_end.empty() ? ", says nothing of it" : ", ends with:");
  std::istringstream lines(detached.log_end);
  for (std::string line; std::getline(lines, line);) outcome.text += "\n    " + line;
  return report(outcome, options);
}

}  // namespace

int run_start(const Arguments& arguments) {
  auto options = start_options(arguments);
  if (!options) return report({usage, options.error().text}, {});
  // This process is the master's alone.
  options->reap_children = true;
  if (arguments.daemon) return start_daemon(std::move(*options));
  // Without a log file the log is on the terminal, and says it.
  if (!options->log_file.empty()) options->on_notice = complain;
  return report(liveswap::run(*options), *options);
}

}  // namespace liveswap::cli
