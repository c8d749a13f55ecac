#include <sys/ioctl.h>
#include <unistd.h>

#include <cstdlib>

#include "base/file.hpp"
#include "cli/check_text.hpp"
#include "cli/printable.hpp"
#include "cli/run_command.hpp"
#include "cli/terminal.hpp"
#include "config/runtimes.hpp"
#include "config/values.hpp"

namespace liveswap::cli {
namespace {

TextFormat format_of_stdout() {
  winsize size{};
  const char* kind = ::getenv("TERM");
  if (::isatty(STDOUT_FILENO) != 1 || !kind || std::string_view(kind) == "dumb") return {};
  const bool known = ::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
  return {known ? size.ws_col : std::size_t{80}, Terminal().colour()};
}

Result<CheckOptions> check_options(const Arguments& arguments) {
  CheckOptions options;
  if (arguments.application) options.arguments = *arguments.application;
  for (const auto& [name, text] : arguments.settings) {
    const auto because = [&name = name](const Error& error) { return fail("--" + name + ": " + error.text); };
    if (name == "check-limit") {
      const auto limit = config::parse_duration(text);
      if (!limit) return because(limit.error());
      options.limit = *limit;
    } else if (name == "env") {
      const auto variable = config::parse_variable(text);
      if (!variable) return because(variable.error());
      options.environment[variable->first] = variable->second;
    } else if (name == "entry") {
      const auto entry = config::parse_entry(text);
      if (!entry) return because(entry.error());
      options.entry = *entry;
    } else if (name == "kind") {
      const auto kind = config::parse_kind(text);
      if (!kind) return because(kind.error());
      options.kind = *kind;
    } else if (name == "start-file") {
      const auto file = config::parse_start_file(text);
      if (!file) return because(file.error());
      options.start_file = *file;
    } else if (name == "runtime") {
      const auto runtime = config::parse_runtime(text);
      if (!runtime) return because(runtime.error());
      options.runtime = *runtime;
    } else if (name == "worker-host") {
      if (text.empty()) return fail("--worker-host: found nothing, expected a path");
      options.worker_host = absolute_path(text, current_directory());
    }
  }
  if (options.limit.count() < 1) return fail("--check-limit: found 0, expected 1ms or more");
  return options;
}

}  // namespace

int run_check(const Arguments& arguments) {
  const auto options = check_options(arguments);
  if (!options) {
    complain(options.error().text);
    return usage;
  }
  const CheckReport report = check(arguments.value, *options);
  if (arguments.json) print(printable_json(check_json(report)) + "\n");
  else print(check_text(report, format_of_stdout()));
  return report.count(CheckFinding::Level::error) > 0 ? failed : ok;
}

}  // namespace liveswap::cli
