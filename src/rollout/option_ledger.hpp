#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "rollout/types.hpp"

namespace liveswap::rollout {

// A socket option, as in setsockopt(2).
struct OptionName {
  int level = 0;
  int name = 0;
  std::string tag = {};  // for options with several instances: the address of a TCP_MD5SIG key
  auto operator<=>(const OptionName&) const = default;  // NOLINT(modernize-use-nullptr): there is no pointer
  template <class Archive>
  void describe(Archive& a) {
    a("level", level)("name", name)("tag", tag);
  }
};

// The bytes of getsockopt(); nullopt: the option cannot be read.
using OptionValue = std::optional<std::string>;
using OptionValues = std::map<OptionName, OptionValue>;

// Decides which value holds for an option that applications set on a listener. All generations share the
// socket, but an option belongs to the release that set it. When that release no longer serves, the socket
// gets its original value, or the value that a serving release has set. Sockets are named by their cookies.
// Pure.
class OptionLedger {
 public:
  using Cookie = std::uint64_t;

  // The options of a socket before any worker has it. Only the first call for a socket counts.
  void know(Cookie socket, const OptionValues& values);
  bool knows(Cookie socket) const { return bases_of(socket) != nullptr; }
  // A worker of that generation has set the option to this value.
  void note(Cookie socket, const OptionName& option, Generation by, OptionValue value);
  void forget(Cookie socket);
  // Whether the option is recorded already, or fewer than `limit` are.
  bool has_room_for(Cookie socket, const OptionName& option, std::size_t limit) const;

  struct Restore {
    Cookie socket = 0;
    OptionName option;
    OptionValue value;  // nullopt: unknown, or not readable
    // `value` is that of a serving release, not the original one; nullopt: it cannot be restored.
    bool is_foreign = false;
    Generation by = 0;  // the generation that made the undone setting
  };
  // Forgets the settings of generations other than `live`, and returns what to restore.
  std::vector<Restore> keep(const std::set<Generation>& live);

  // All members as values (master/state/archive.hpp).
  template <class Archive>
  void describe(Archive& a) {
    a("bases", bases_)("settings", settings_);
  }

 private:
  struct Setting {
    Generation by = 0;
    OptionValue value;
    template <class Archive>
    void describe(Archive& a) {
      a("by", by)("value", value);
    }
  };
  const OptionValues* bases_of(Cookie socket) const;
  OptionValue base_of(Cookie socket, const OptionName& option) const;

  // Original values. Sockets that were made alike have the same, so these are few.
  std::map<OptionValues, std::set<Cookie>> bases_;
  std::map<Cookie, std::map<OptionName, std::vector<Setting>>> settings_;  // the last one is in force
};

}  // namespace liveswap::rollout
