#pragma once

#include <functional>
#include <string>
#include <utility>

namespace liveswap::master {

// One question to the application, under way. It answers once, from the loop, never from its constructor; the
// answer may destroy it. Destroying it earlier gives it up.
class Probe {
 public:
  using Done = std::function<void(const std::string& failure)>;  // "": it is well

  explicit Probe(Done done) : done_(std::move(done)) {}
  Probe(const Probe&) = delete;
  Probe& operator=(const Probe&) = delete;
  virtual ~Probe() = default;

 protected:
  // Nothing of the object may be touched after it.
  void finish(const std::string& failure) {
    const auto done = std::exchange(done_, nullptr);
    if (done) done(failure);
  }

 private:
  Done done_;
};

}  // namespace liveswap::master
