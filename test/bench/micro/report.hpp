#pragma once

#include <chrono>
#include <string>
#include <vector>

namespace scenario::micro {

using Clock = std::chrono::steady_clock;

double ms_since(Clock::time_point begin);

template <class Work>
double ms_of(const Work& work) {
  const auto begin = Clock::now();
  work();
  return ms_since(begin);
}

// A short round, to try the program.
bool is_quick();

// Times of one thing and of its bare counterpart, taken in turns. Printed with their ratio, and written to
// the file that LIVESWAP_BENCH_RECORDS names, when the object goes.
class Comparison {
 public:
  Comparison(std::string what, unsigned n, std::string bare)
      : what_(std::move(what)), n_(n), bare_(std::move(bare)) {}
  ~Comparison();
  Comparison(const Comparison&) = delete;
  Comparison& operator=(const Comparison&) = delete;
  void add(double ms) { ms_.push_back(ms); }
  void add_bare(double ms) { bare_ms_.push_back(ms); }

 private:
  std::string what_;
  unsigned n_;
  std::string bare_;
  std::vector<double> ms_, bare_ms_;
};

}  // namespace scenario::micro
