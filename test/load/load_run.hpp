#pragma once

#include <sys/types.h>

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "base/unique_fd.hpp"

namespace liveswap::load::test {

// A run of the real client. Killed and reaped when the test gives up on it.
class LoadRun {
 public:
  explicit LoadRun(std::vector<std::string> arguments);
  ~LoadRun();

  // Commands on its standard input.
  void tell(const std::string& line);
  void close_input() { input_.reset(); }
  void signal(int number) const;

  // Its next line of output for people; nothing at the end.
  std::optional<std::string> next_line();

  // Waits for its end: the exit status, -1 when a signal ended it. Afterwards its JSON can be looked at.
  int finish();
  const nlohmann::json& json() const { return json_; }

  // A count of a class; checks on the way that each attempt is in exactly one.
  std::uint64_t count(const std::string& name) const;
  std::uint64_t attempts() const { return json_.at("attempts"); }

 private:
  pid_t pid_ = -1;
  UniqueFd input_;
  UniqueFd people_;
  UniqueFd json_file_;
  std::string unread_;
  nlohmann::json json_;
};

}  // namespace liveswap::load::test
