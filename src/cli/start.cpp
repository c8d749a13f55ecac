#include <fmt/format.h>

#include "cli/daemon.hpp"
#include "cli/run_command.hpp"
#include "cli/start_options.hpp"
#include "cli/terminal.hpp"

namespace liveswap::cli {
namespace {

int report(const Outcome& outcome) {
  if (outcome.status != ok) complain(outcome.text);
  return outcome.status;
}

int start_daemon(Options options) {
  const auto port = options.port;
  if (const auto prepared = prepare_log(options); prepared.status != ok) return report(prepared);
  const auto detached =
      run_in_background(std::move(options), [](const Options& settled) { return liveswap::run(settled); });
  if (!detached.child && detached.outcome.status == ok)
    print(fmt::format("master {} on port {}: all workers are ready\n", detached.pid, port));
  return report(detached.outcome);
}

}  // namespace

int run_start(const Arguments& arguments) {
  auto options = start_options(arguments);
  if (!options) return report({usage, options.error().text});
  return arguments.daemon ? start_daemon(std::move(*options)) : report(liveswap::run(*options));
}

}  // namespace liveswap::cli
