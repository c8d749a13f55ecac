#include <fmt/format.h>

#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "cli/daemon.hpp"
#include "cli/run_command.hpp"
#include "cli/start_options.hpp"
#include "cli/supervisor.hpp"
#include "cli/terminal.hpp"

namespace liveswap::cli {
namespace {

// run() has already completed the commands in its texts.
int report(const Outcome& outcome) {
  if (outcome.status != ok) complain(outcome.text);
  return outcome.status;
}

// Appends the last lines of the log to `text`. Leaves out lines that `text` contains: the background master
// writes its failure to the log too.
std::string with_log_end(const std::string& text, const std::string& log_end, const std::string& log_file) {
  const std::string told = complaint(text);
  std::string more;
  std::istringstream lines(log_end);
  for (std::string line; std::getline(lines, line);)
    if (told.find(line) == std::string::npos) more += "\n    " + line;
  return text + "\nits log, " + log_file + (more.empty() ? ", says no more" : ", ends with:") + more;
}

// A reload must not move the log of a background master.
void keep_log(Options& options) {
  if (const auto read = options.read_config)
    options.read_config = [read, log = options.log_file](const std::string& text, Options& into) {
      auto problems = read(text, into);
      if (into.log_file.empty()) into.log_file = log;
      return problems;
    };
}

int start_daemon(Options options, bool restart) {
  const auto port = options.port;
  if (const auto prepared = prepare_log(options); prepared.status != ok) return report(prepared);
  keep_log(options);
  const auto detached = run_in_background(options, [restart](const Options& settled) {
    const auto run = [](const Options& of_master) { return liveswap::run(of_master); };
    return restart ? supervise(settled, run) : run(settled);
  });
  const bool runs = !detached.child && detached.outcome.status == ok;
  if (runs && !detached.outcome.text.empty()) complain(detached.outcome.text);
  if (runs) print(fmt::format("master {} on port {}: all workers are ready\n", detached.pid, port));
  if (detached.child || detached.outcome.status == ok) return report(detached.outcome);
  return report(
      {detached.outcome.status, with_log_end(detached.outcome.text, detached.log_end, options.log_file)});
}

// The words of this process, which a re-executed master starts with, too.
std::vector<std::string> own_command_line() {
  std::vector<std::string> words;
  std::ifstream file("/proc/self/cmdline", std::ios::binary);
  for (std::string word; std::getline(file, word, '\0');) words.push_back(word);
  return words;
}

}  // namespace

void complete_resumed(const Arguments& arguments, Options& options) {
  if (options.config_file.empty()) return;
  options.read_config = reader_of(arguments, options.config_file);
  if (arguments.daemon) keep_log(options);
}

int run_start(const Arguments& arguments) {
  auto options = start_options(arguments);
  if (!options) return report({usage, options.error().text});
  // This process has no children but the master's.
  options->reap_children = true;
  options->service = true;
  options->command_line = own_command_line();
  if (arguments.restart && !arguments.daemon)
    return report(
        {usage, "--restart is for --daemon: in the foreground, what has started liveswap starts it again"});
  if (arguments.daemon) return start_daemon(std::move(*options), arguments.restart);
  // Without a log file, the log on the terminal already shows the notices.
  if (!options->log_file.empty()) options->on_notice = complain;
  return report(liveswap::run(*options));
}

}  // namespace liveswap::cli
