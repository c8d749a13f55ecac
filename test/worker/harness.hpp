#pragma once

#include <sys/types.h>

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/unique_fd.hpp"
#include "contract/channel.h"

// The master's side of a worker host, as small as a test needs it. Whatever is waited for has a generous
// limit; when it passes, the test fails with what did arrive.
namespace liveswap::test {

struct Frame {
  std::uint32_t kind = 0;
  std::int32_t value = 0;
  std::uint64_t count = 0;
  std::string text;
};

struct End {
  bool exited = false;  // else: killed
  int number = 0;       // exit status or signal
};

// The path. Fails the test, with the path, if the file has not been built.
std::string built(const std::string& path);
std::string fixture(std::string_view name);   // test/fixtures/lib<name>.so
std::string sample(const std::string& name);  // samples/lib<name>.so
std::string probe();
std::string pre_upgrade_plugin();

UniqueFd listen_tcp();
UniqueFd listen_unix(const std::string& path);
UniqueFd connect_to(int listener);  // a receive on it ends after 20 s
// Reads until end of file; nullopt when the connection was reset.
std::optional<std::string> read_all(int fd);
std::string get(int listener);  // one HTTP request; the answer
bool readable(int fd, int limit_ms);

class Worker {
 public:
  struct Settings {
    std::string path = {};
    std::vector<int> listeners = {};
    std::string names = {};
    std::int64_t drain_limit_ms = 60000;
    std::int64_t term_grace_ms = 2000;
    std::vector<std::string> arguments = {};
    std::map<std::string, std::string> environment = {};
    std::vector<std::string> more = {};  // options before the path
  };

  static Worker start(const Settings& settings);
  static Worker pre_upgrade(const std::string& path, const std::string& value);
  static Worker check(const std::string& path, const std::vector<std::string>& arguments = {});
  static Worker spawn(const std::vector<std::string>& words, const std::vector<int>& listeners,
                      const std::map<std::string, std::string>& environment);
  Worker(const Worker&) = delete;
  ~Worker();

  pid_t pid() const { return pid_; }
  int channel() const { return channel_.get(); }
  void send(std::uint32_t kind, std::int32_t value = 0, std::string_view text = {});
  // The next frame from the channel, whatever it is; nullopt at its end.
  std::optional<Frame> next();
  // The next frame of that kind; others are kept for later, as the worker's threads overtake each other.
  Frame expect(std::uint32_t kind);
  // Whether one of that kind has been kept.
  bool kept(std::uint32_t kind) const;
  // Sends a probe an order; returns its line of log.
  std::string ask(const std::string& order);
  void tell(const std::string& order);
  // The master's end of the channel goes away.
  void abandon() { channel_.reset(); }
  End wait();

 private:
  Worker(pid_t pid, UniqueFd channel) : pid_(pid), channel_(std::move(channel)) {}
  pid_t pid_;
  UniqueFd channel_;
  std::deque<Frame> kept_;
};

// Checks that loading ends with a FAILED frame at that stage, and returns its text.
std::string failure(const std::string& path, int stage, const std::vector<std::string>& more = {});

}  // namespace liveswap::test
