#pragma once

#include <sys/types.h>

#include <map>
#include <string>
#include <vector>

#include "base/unique_fd.hpp"
#include "support/instance.hpp"

namespace scenario {

// Plays systemd to one service, by the real protocol: a notify socket that wants credentials, sockets passed
// as LISTEN_FDS, a descriptor store that survives the service. Takes messages from the main process alone.
class ServiceManager {
 public:
  // Sockets that are passed beside those of the store, with their names. Owned here.
  struct Passed {
    std::string name;
    liveswap::UniqueFd fd;
  };

  // `abstract`: the address of the notify socket is an abstract name.
  explicit ServiceManager(Scenario& scenario, bool abstract = false);

  // `liveswap start WORDS` at the site, with the variables of a service. The main process is this one.
  Process start(const Site& site, const Words& words);
  // More variables for start().
  std::map<std::string, std::string> environment;
  std::vector<Passed> passed;

  // The values of that name in the messages so far, in the order in which they came: values("READY").
  std::vector<std::string> values(const std::string& name);
  // The names of all lines so far: "READY", "MAINPID", … without STATUS.
  std::vector<std::string> order();
  std::string last(const std::string& name);
  // Waits for a message with that line, among those since the last forget().
  bool says(const std::string& line, milliseconds limit = patience);
  void forget();

  // The names in the descriptor store.
  std::vector<std::string> stored();
  pid_t main_pid();
  // Messages of other processes than the main one, which systemd would ignore.
  unsigned foreign() const { return foreign_; }

 private:
  void receive();
  void take(const std::string& text, pid_t sender, std::vector<liveswap::UniqueFd> fds);

  std::string address_;
  liveswap::UniqueFd socket_;
  std::vector<std::string> lines_;
  std::vector<std::pair<std::string, liveswap::UniqueFd>> store_;
  pid_t main_ = 0;
  unsigned foreign_ = 0;
  const TempDir& dir_;
};

// A TCP socket that listens at the address ("127.0.0.1:80"), as a socket unit binds it.
liveswap::UniqueFd listen_at(const std::string& address);
// A Unix socket that listens at the path.
liveswap::UniqueFd listen_at_path(const std::string& path);

}  // namespace scenario
