#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "rollout/types.hpp"

namespace liveswap::master {

// Socket options that applications set on listeners. All generations share the socket, but an option
// belongs to the release that set it. When that release no longer serves, the socket gets its original
// value, or the value that a serving release has set. Worker hosts report which option was set
// (LIVESWAP_OPTION); the master reads the values.

struct OptionName {
  int level = 0;
  int name = 0;
  std::string tag = {};  // for options with several instances: the address of a TCP_MD5SIG key
  auto operator<=>(const OptionName&) const = default;
  std::string text() const;  // "TCP_DEFER_ACCEPT"
};

// The bytes of getsockopt(); nullopt: the option cannot be read.
using OptionValue = std::optional<std::string>;
using OptionValues = std::map<OptionName, OptionValue>;

// Known options of listeners that can be read.
OptionValues options_of(int fd);
OptionValue option_of(int fd, const OptionName& option);

// Whether a listener can have the option, readable or not.
bool is_known(const OptionName& option);
// The options that the kernel changes with this one, itself first.
std::vector<OptionName> set_with(const OptionName& option);

// Sets a value that was read. If the option cannot be read, removes the key, filter or device. An error
// names the option.
Result<void> put_back(int fd, const OptionName& option, const OptionValue& value);

// Which generation has set which option, by the socket's cookie. Pure.
class OptionLedger {
 public:
  using Cookie = std::uint64_t;
  using Generation = rollout::Generation;

  // The options of a socket before any worker has it. Only the first call for a socket counts.
  void know(Cookie socket, OptionValues values) { bases_.try_emplace(socket, std::move(values)); }
  bool knows(Cookie socket) const { return bases_.contains(socket); }
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

 private:
  struct Setting {
    Generation by = 0;
    OptionValue value;
  };
  OptionValue base_of(Cookie socket, const OptionName& option) const;

  std::map<Cookie, OptionValues> bases_;
  std::map<Cookie, std::map<OptionName, std::vector<Setting>>> settings_;  // the last one is in force
};

}  // namespace liveswap::master
