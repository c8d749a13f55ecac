#include "verify/task.hpp"

#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>

#include "base/file.hpp"
#include "cli/option_table.hpp"
#include "cli/printable.hpp"
#include "cli/run_command.hpp"
#include "cli/terminal.hpp"
#include "config/quote.hpp"
#include "config/values.hpp"
#include "launch/resolve.h"
#include "verify/proof.hpp"

namespace liveswap::cli {
namespace {

using Settings = std::vector<std::pair<std::string, std::string>>;

// Defaults of verify for options of start: short limits, as the faults run into them.
constexpr std::pair<std::string_view, std::string_view> defaults_of_start[] = {
    {"listen", "127.0.0.1:0"}, {"ready-limit", "3s"}, {"check-limit", "3s"}, {"drain-limit", "10s"}};

std::string program() {
  std::error_code failed;
  return std::filesystem::read_symlink("/proc/self/exe", failed).string();
}

// Next to an installed program, in a build directory, or in the installation prefix.
std::string fault_directory() {
  const auto here = std::filesystem::path(program()).parent_path();
  for (const std::string& place :
       {(here.parent_path() / "libexec/liveswap/faults").string(), (here / "src/faults").string(),
        std::string(LIVESWAP_LIBEXECDIR "/faults")})
    if (::access(place.c_str(), X_OK) == 0) return place;
  return "";
}

Result<std::vector<verify::Fault>> parse_faults(const std::string& text) {
  if (text == "none") return std::vector<verify::Fault>{};
  if (text == "all") return std::vector(std::begin(verify::all_faults), std::end(verify::all_faults));
  std::vector<verify::Fault> faults;
  for (std::size_t at = 0; at <= text.size();) {
    const auto comma = std::min(text.find(',', at), text.size());
    const std::string word = text.substr(at, comma - at);
    const auto fault = verify::fault_of(word);
    if (!fault) {
      std::string known;
      for (const auto one : verify::all_faults)
        known += (known.empty() ? "" : ", ") + std::string(verify::word(one));
      return fail(fmt::format("--faults: found {}, expected none, all, or some of {}",
                              config::in_quotes(word), known));
    }
    faults.push_back(*fault);
    at = comma + 1;
  }
  return faults;
}

template <class T, class Into>
Result<void> store_option(const std::string& name, const Result<T>& value, Into& into) {
  if (!value) return fail("--" + name + ": " + value.error().text);
  into = static_cast<Into>(*value);
  return {};
}

Result<void> store_path(const std::string& text, std::string& path) {
  const bool plain = text.find_first_of(" \t\r\n") == std::string::npos;
  if (text.empty() || text.front() != '/' || !plain)
    return fail(fmt::format("--path: found {}, expected one that begins with / and has no blanks",
                            config::in_quotes(text)));
  path = text;
  return {};
}

Result<void> take(verify::Task& task, const std::string& name, const std::string& text) {
  if (name == "path") return store_path(text, task.path);
  if (name == "upgrades") return store_option(name, config::parse_number(text, 0, 10'000), task.upgrades);
  if (name == "clients") return store_option(name, config::parse_number(text, 1, 4'000), task.clients);
  if (name == "seconds-before") return store_option(name, config::parse_duration(text), task.before);
  if (name == "connect") task.connect = true;
  if (name != "faults") return {};
  auto faults = parse_faults(text);
  if (!faults) return tl::unexpected<Error>(faults.error());
  task.faults = std::move(*faults);
  return {};
}

bool is_given(const Settings& settings, std::string_view name) {
  return std::any_of(settings.begin(), settings.end(), [&](const auto& one) { return one.first == name; });
}

std::string value_of(const Settings& settings, std::string_view name) {
  for (const auto& [known, text] : settings)
    if (known == name) return text;
  return "";
}

// Whether the application binds its own listeners: a program, a script, or a library with another entry.
bool binds_itself(const std::string& path, const Settings& settings) {
  launch_options launch{};
  const std::string kind = value_of(settings, "kind"), file = value_of(settings, "start-file");
  if (!kind.empty() && kind != "auto") launch.kind = kind.c_str();
  if (!file.empty()) launch.start = file.c_str();
  return is_given(settings, "entry") || launch_resolve_kind(path.c_str(), &launch) != LAUNCH_PLUGIN;
}

std::vector<std::string> start_options(const std::string& library, const Settings& settings) {
  std::vector<std::string> words;
  // With a configuration file, the defaults are left out: on the command line they would override the file.
  const bool binds = binds_itself(library, settings);
  for (const auto& [name, text] : defaults_of_start)
    if (!(binds && name == "listen") && !is_given(settings, name) && !is_given(settings, "config"))
      words.push_back(fmt::format("--{}={}", name, text));
  for (const auto& [name, text] : settings) {
    const Option* option = find_option(name);
    if (!is_handed_to_start(*option)) continue;
    words.push_back(option->takes == Takes::nothing ? "--" + name : fmt::format("--{}={}", name, text));
  }
  return words;
}

Result<verify::Task> task_of(const Arguments& arguments) {
  verify::Task task;
  const std::string here = current_directory();
  task.library = absolute_path(arguments.value, here);
  task.second = arguments.second.empty() ? task.library : absolute_path(arguments.second, here);
  for (const auto& library : {task.library, task.second})
    if (::access(library.c_str(), R_OK) != 0) return os_fail("read the library", library, errno);
  task.program = program();
  task.fault_directory = fault_directory();
  task.arguments = arguments.application.value_or(std::vector<std::string>{});
  for (const auto& [name, text] : arguments.settings)
    if (auto taken = take(task, name, text); !taken) return tl::unexpected<Error>(taken.error());
  task.start_options = start_options(task.library, arguments.settings);
  return task;
}

// Progress goes to stderr; stdout may carry JSON.
void say(const std::string& line) {
  const std::string text = printable(line) + "\n";
  [[maybe_unused]] const ssize_t written = ::write(STDERR_FILENO, text.data(), text.size());
}

}  // namespace

int run_verify(const Arguments& arguments) {
  const auto task = task_of(arguments);
  if (!task) {
    complain("verify: " + task.error().text);
    return usage;
  }
  // The reader of the output may exit; cleanup still runs.
  ::signal(SIGPIPE, SIG_IGN);
  verify::Interrupt interrupt;
  const auto findings = verify::prove(*task, interrupt, say);
  if (interrupt.number() != 0) {
    complain("verify: interrupted; everything is stopped and removed");
    interrupt.die();
  }
  if (!findings) {
    complain("verify: " + findings.error().text);
    return failed;
  }
  const bool colour = ::isatty(STDOUT_FILENO) == 1 && Terminal().colour();
  print(arguments.json ? as_json(*findings, *task) : "\n" + as_text(*findings, *task, colour));
  return findings->problems().empty() ? ok : failed;
}

}  // namespace liveswap::cli
