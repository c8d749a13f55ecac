#include "support/instance.hpp"

#include <doctest/doctest.h>
#include <signal.h>

#include <algorithm>
#include <cstdlib>

#include "support/proc.hpp"

namespace scenario {
namespace {

Words start_words(const Site& site, const std::string& library, const Words& options,
                  const Words& arguments) {
  const auto has = [&](const char* option) {
    return std::find(options.begin(), options.end(), option) != options.end();
  };
  // An application with its own main binds its listeners itself; a configuration file names them.
  Words words = has("--entry") || has("--config") ? options : Words{"--listen", site.address()} + options;
  if (!library.empty()) words.push_back(library);
  if (!arguments.empty()) words = words + Words{"--"} + arguments;
  return words;
}

}  // namespace

Site::Site(Scenario& scenario, const std::string& name)
    : scenario_(scenario), directory_(scenario.dir.directory(name)), address_(listener_.address()) {
  environment["XDG_STATE_HOME"] = scenario.dir.directory(name + "/state");
  environment["XDG_RUNTIME_DIR"] = scenario.dir.directory(name + "/run");
  // A crashing fixture must die by its signal, as without the sanitizer.
  environment["ASAN_OPTIONS"] = "handle_segv=0:handle_abort=0";
  if (!std::getenv("TSAN_OPTIONS"))
    environment["TSAN_OPTIONS"] = "handle_segv=0:handle_abort=0:halt_on_error=1:atexit_sleep_ms=0";
}

Process::Setup Site::command(const std::string& verb, const Words& words) const {
  const Words before = verb == "start" ? prefix + start_prefix : prefix;
  return {before + Words{liveswap_program(), verb, "-p", control_.text()} + words, environment};
}

Process Site::launch(const std::string& verb, const Words& words) const {
  return Process(scenario_.dir, command(verb, words));
}

Finished Site::run(const std::string& verb, const Words& words) const {
  return scenario::run(scenario_.dir, command(verb, words), 2 * patience);
}

Json Site::status() const {
  const auto finished = run("status", {"--json"});
  if (finished.status != Exit::ok) return Json::object();
  return Json::parse(finished.out);
}

Instance::Instance(Scenario& scenario, const std::string& library, const Words& options,
                   const Words& arguments)
    : Instance(std::make_shared<Site>(scenario), library, options, arguments) {}

Instance::Instance(std::shared_ptr<Site> site, const std::string& library, const Words& options,
                   const Words& arguments)
    : site_(std::move(site)),
      master_(site_->launch("start", start_words(*site_, library, options, arguments))) {
  wait_ready();
}

void Instance::wait_ready() {
  const bool ready =
      eventually([&] { return !master_.running() || status().value("state", "") == "running"; });
  REQUIRE_MESSAGE(ready, "the master is not ready:\n", master_.err());
  REQUIRE_MESSAGE(master_.running(), "the master has ended:\n", master_.err());
}

// The second `stop` ends draining workers at once.
Instance::~Instance() {
  for (int orders = 0; orders < 2 && master_.running(); ++orders) {
    master_.signal(SIGTERM);
    eventually([&] { return !master_.running(); }, milliseconds(orders == 0 ? 3'000 : 10'000));
  }
  CHECK_MESSAGE(!master_.running(), "the master did not stop");
  show_on_failure("the master's log", master_.err());
}

Finished Instance::upgrade(const std::string& library, const Words& options) const {
  return run("upgrade", options + Words{library});
}

std::vector<pid_t> Instance::workers() const {
  std::vector<pid_t> pids;
  const auto now = status();
  if (!now.contains("slots")) return pids;
  for (const auto& slot : now.at("slots"))
    for (const auto& worker : slot["workers"])
      if (worker["state"] != "draining") pids.push_back(worker["pid"].get<pid_t>());
  return pids;
}

unsigned Instance::connections() const {
  unsigned sum = 0;
  const auto now = status();
  for (const auto& slot : now.value("slots", Json::array()))
    for (const auto& worker : slot["workers"])
      if (worker["connections"].is_number()) sum += worker["connections"].get<unsigned>();
  return sum;
}

std::vector<pid_t> Instance::children() const { return proc::children(master_.pid()); }

bool Instance::serves(const std::string& library, milliseconds limit) const {
  return eventually(
      [&] {
        const auto now = status();
        if (!now.contains("slots") || now.at("slots").size() != now.at("forks")) return false;
        for (const auto& slot : now.at("slots")) {
          if (slot["workers"].size() != 1) return false;
          const auto& worker = slot["workers"][0];
          if (worker["state"] != "ready" || worker["release"] != library) return false;
        }
        return true;
      },
      limit);
}

}  // namespace scenario
