#pragma once
#include <functional>
#include <string>
#include <vector>
#include "master/loop.hpp"
namespace liveswap::master {
struct Prober {
  struct Result { unsigned made = 0, failed = 0; std::string text; };
  Prober(uv_loop_t&, const std::vector<int>&, unsigned, Milliseconds, std::function<void(const Result&)>) {}
};
}
