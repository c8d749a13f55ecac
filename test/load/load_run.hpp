#pragma once

#include <sys/types.h>

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "base/unique_fd.hpp"

namespace liveswap::load::test {

// A run of the real load client. Killed and reaped if the test ends first.
class LoadRun {
 public:
  explicit LoadRun(std::vector<std::string> arguments);
  ~LoadRun();

  // Writes a line to the client's standard input.
  void tell(const std::string& line);
  void close_input() { input_.reset(); }
  void signal(int number) const;

  // The next line of the output for people; nothing at the end.
  std::optional<std::string> next_line();

  // Waits for the end of the client. Returns the exit status, -1 if a signal ended it. Then the JSON can be
  // read.
  int finish();
  const nlohmann::json& json() const { return json_; }

  // The count of a class. Also checks that each attempt is in exactly one class.
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
