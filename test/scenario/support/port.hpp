#pragma once

#include <cstdint>
#include <string>

#include "base/unique_fd.hpp"

namespace scenario {

// A TCP port that nobody uses, and that no other test takes while this lives. It is below the range from
// which the kernel gives ports to clients, so that it stays free between two binds.
class Port {
 public:
  Port();

  std::uint16_t number() const { return number_; }
  std::string text() const { return std::to_string(number_); }
  // "127.0.0.1:<number>"
  std::string address() const { return "127.0.0.1:" + text(); }

 private:
  bool claim(std::uint16_t number);

  std::uint16_t number_ = 0;
  liveswap::UniqueFd claim_;
};

}  // namespace scenario
