#pragma once

#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "support/built.hpp"
#include "support/port.hpp"
#include "support/process.hpp"
#include "support/scenario.hpp"

namespace scenario {

using Json = nlohmann::json;

// Ports, directories and command lines of one liveswap instance, separate from all others. Starts no process
// by itself.
class Site {
 public:
  explicit Site(Scenario& scenario, const std::string& name = "site");

  // "127.0.0.1:PORT", for --listen
  const std::string& address() const { return address_; }
  std::string control_port() const { return control_.text(); }
  std::string state_dir() const { return directory_ + "/state/liveswap/" + control_.text(); }
  std::string head_path() const { return state_dir() + "/HEAD"; }
  std::string control_socket() const { return directory_ + "/run/liveswap/" + control_.text() + ".sock"; }
  const std::string& directory() const { return directory_; }
  const TempDir& temp_dir() const { return scenario_.dir; }

  // The variables with which `liveswap` finds the instance. Change them before use.
  std::map<std::string, std::string> environment;
  // Words before `liveswap`, for example to change the user.
  Words prefix;
  // Words before `liveswap start` alone.
  Words start_prefix;

  // `liveswap <verb> -p PORT <words>`
  Process::Setup command(const std::string& verb, const Words& words = {}) const;
  Process launch(const std::string& verb, const Words& words = {}) const;
  Finished run(const std::string& verb, const Words& words = {}) const;

  // An empty object if there is no master.
  Json status() const;

 private:
  Scenario& scenario_;
  Port control_;
  Port listener_;
  std::string directory_;
  std::string address_;
};

// A running instance, stopped at the end of the scope; by force if it does not stop by itself.
class Instance {
 public:
  // Runs `liveswap start --listen ADDRESS OPTIONS LIBRARY [-- ARGUMENTS]`, without a library if `library` is
  // empty. Returns when every worker is ready; otherwise fails the test.
  Instance(Scenario& scenario, const std::string& library, const Words& options = {},
           const Words& arguments = {});
  // The same at an existing site.
  Instance(std::shared_ptr<Site> site, const std::string& library, const Words& options = {},
           const Words& arguments = {});
  ~Instance();

  const Site& site() const { return *site_; }
  const std::string& address() const { return site_->address(); }
  Process& master() { return master_; }

  Finished run(const std::string& verb, const Words& words = {}) const { return site_->run(verb, words); }
  Finished upgrade(const std::string& library, const Words& options = {}) const;
  Json status() const { return site_->status(); }

  // The pids by slot, without draining workers.
  std::vector<pid_t> workers() const;
  // The number of open connections of all workers.
  unsigned connections() const;
  // All children of the master.
  std::vector<pid_t> children() const;
  std::string head() const { return read_file(site_->head_path()); }
  // Waits until every slot has exactly one worker, ready and with that library; false: not within the limit.
  bool serves(const std::string& library, milliseconds limit = patience) const;

 private:
  void wait_ready();

  std::shared_ptr<Site> site_;
  Process master_;
};

// Exit statuses of the command line, as include/liveswap.hpp has them.
enum Exit { ok = 0, failed = 1, usage = 2, no_master = 3, refused = 4, reverted = 5, timed_out = 6 };

}  // namespace scenario
