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

// Ports, directories and command lines of one liveswap instance, apart from every other. Starts nothing by
// itself.
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

  // What makes `liveswap` find the instance; to be changed before use.
  std::map<std::string, std::string> environment;
  // Words before `liveswap`: another user, say.
  Words prefix;
  // The same before `liveswap start` alone.
  Words start_prefix;

  // `liveswap <verb> -p PORT <words>`
  Process::Setup command(const std::string& verb, const Words& words = {}) const;
  Process launch(const std::string& verb, const Words& words = {}) const;
  Finished run(const std::string& verb, const Words& words = {}) const;

  // An empty object when there is no master.
  Json status() const;

 private:
  Scenario& scenario_;
  Port control_;
  Port listener_;
  std::string directory_;
  std::string address_;
};

// A running instance. Ends with the scope, by force when it does not stop by itself.
class Instance {
 public:
  // `liveswap start --listen ADDRESS OPTIONS LIBRARY [-- ARGUMENTS]`, without a library when it is empty.
  // Returns when every worker is ready; fails the test when that does not come.
  Instance(Scenario& scenario, const std::string& library, const Words& options = {},
           const Words& arguments = {});
  // The same at a site that exists.
  Instance(std::shared_ptr<Site> site, const std::string& library, const Words& options = {},
           const Words& arguments = {});
  ~Instance();

  const Site& site() const { return *site_; }
  const std::string& address() const { return site_->address(); }
  Process& master() { return master_; }

  Finished run(const std::string& verb, const Words& words = {}) const { return site_->run(verb, words); }
  Finished upgrade(const std::string& library, const Words& options = {}) const;
  Json status() const { return site_->status(); }

  // Processes, by slot; those that drain are left out.
  std::vector<pid_t> workers() const;
  // Open ones, of all workers.
  unsigned connections() const;
  // All children of the master.
  std::vector<pid_t> children() const;
  std::string head() const { return read_file(site_->head_path()); }
  // Whether every slot has one worker, ready, and it runs that library; waits for it.
  bool serves(const std::string& library, milliseconds limit = patience) const;

 private:
  void wait_ready();

  std::shared_ptr<Site> site_;
  Process master_;
};

// Exit statuses of the command line, as include/liveswap.hpp has them.
enum Exit { ok = 0, failed = 1, usage = 2, no_master = 3, refused = 4, reverted = 5, timed_out = 6 };

}  // namespace scenario
