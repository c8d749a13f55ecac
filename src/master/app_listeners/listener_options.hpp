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

// Socket options that applications set on listeners. The socket is every generation's, but an option belongs
// to the release that has set it: when that does not serve any more, the socket gets what it had before, or
// what a release that still serves has set. Worker hosts tell which option was set (LIVESWAP_OPTION); values
// the master reads itself.

struct OptionName {
  int level = 0;
  int name = 0;
  std::string tag = {};  // tells several apart that are one option: the address of a TCP_MD5SIG key
  auto operator<=>(const OptionName&) const = default;
  std::string text() const;  // "TCP_DEFER_ACCEPT"
};

// The bytes that getsockopt() gives; nothing: this option cannot be read.
using OptionValue = std::optional<std::string>;
using OptionValues = std::map<OptionName, OptionValue>;

// Those that a listener may have, and that can be read.
OptionValues options_of(int fd);
OptionValue option_of(int fd, const OptionName& option);

// Whether it is one of those that a listener may have, read or not.
bool is_known(const OptionName& option);
// Those that the kernel changes when this one is set, itself first.
std::vector<OptionName> set_with(const OptionName& option);

// Sets it to a value that was read; of what cannot be read, takes back what was set: a key, a filter, a
// device. An error names the option.
Result<void> put_back(int fd, const OptionName& option, const OptionValue& value);

// Which generation has set what, by the cookie of the socket. Pure.
class OptionLedger {
 public:
  using Cookie = std::uint64_t;
  using Generation = rollout::Generation;

  // What a socket has before any worker gets it. Only the first call for a socket counts.
  void know(Cookie socket, OptionValues values) { bases_.try_emplace(socket, std::move(values)); }
  bool knows(Cookie socket) const { return bases_.contains(socket); }
  // A worker of that generation has set it, to this value.
  void note(Cookie socket, const OptionName& option, Generation by, OptionValue value);
  void forget(Cookie socket);
  // Whether that is noted already, or fewer than so many are.
  bool has_room_for(Cookie socket, const OptionName& option, std::size_t limit) const;

  struct Restore {
    Cookie socket = 0;
    OptionName option;
    OptionValue value;        // nothing: not known, or the option cannot be read
    bool is_foreign = false;  // the value is one that a release which serves has set: it cannot be put back
                              // without having been read
    Generation by = 0;        // that has set what is taken back
  };
  // Only these generations serve, or are about to: what others have set is forgotten. Returns what has to be
  // put back.
  std::vector<Restore> keep(const std::set<Generation>& live);

 private:
  struct Setting {
    Generation by = 0;
    OptionValue value;
  };
  OptionValue base_of(Cookie socket, const OptionName& option) const;

  std::map<Cookie, OptionValues> bases_;
  std::map<Cookie, std::map<OptionName, std::vector<Setting>>> settings_;  // the last one holds
};

}  // namespace liveswap::master
