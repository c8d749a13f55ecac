#pragma once

#include <cstdint>
#include <string>

#include "base/unique_fd.hpp"

namespace scenario {

// A TCP port that is free, and that no other test uses while the object lives. It is below the range of the
// kernel's ephemeral ports, so that it stays free between two binds.
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
