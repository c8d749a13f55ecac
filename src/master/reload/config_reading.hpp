#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>

#include "liveswap.hpp"
#include "master/releases/store_queries.hpp"
#include "protocol/message.hpp"
#include "spawn/spawner.hpp"

namespace liveswap::master {

// Reads the master's configuration file again (Options::config_file). liveswap-store reads the file and looks
// up the user of the workers and the hosts of listeners, since disk and name service may hang; the master
// parses the text, of at most 1 MiB.
class ConfigReading {
 public:
  struct Found {
    Options options;  // validated and settled
    std::optional<spawn::Identity> identity;
    std::map<std::string, std::string> hosts;  // of new listeners: name → IP address
  };
  struct Failure {
    protocol::Refusal refusal = protocol::Refusal::failed;
    std::string text;
  };
  using Outcome = tl::expected<Found, Failure>;
  // Called once, on the loop, never from within read(); must not throw. A failure without a text: no memory.
  using Done = std::function<void(const Outcome&)>;

  // `store`: how to start liveswap-store; borrowed.
  ConfigReading(uv_loop_t& loop, const spawn::Request& store);

  // `now`: the options that hold, with the identity that belongs to them; it is looked up anew only where the
  // file names another user or group. Requires `now.config_file` and `now.read_config`.
  void read(const Options& now, const std::optional<spawn::Identity>& identity, Done done);
  // Looks up what is needed to go from `now` to the options in `found`: the hosts of new listeners, and the
  // user and group if they differ. `done` may be called within this call.
  void complete(const Options& now, Found found, const Done& done);
  // Answers every question with `text`, as failed.
  void give_up(const std::string& text) { queries_.give_up(text); }

 private:
  void on_text(const StoreQueries::Reply& reply, const Options& now,
               const std::optional<spawn::Identity>& identity, const Done& done);
  void look_up(Found found, const Done& done);

  StoreQueries queries_;
};

}  // namespace liveswap::master
