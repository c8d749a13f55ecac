#pragma once

#include <functional>
#include <string>
#include <utility>

namespace liveswap::master {

// One health check in progress. `done` is called once, on the loop, never from within the constructor, and
// may destroy the probe. Destroying the probe earlier cancels the check.
class Probe {
 public:
  using Done = std::function<void(const std::string& failure)>;  // "": healthy

  explicit Probe(Done done) : done_(std::move(done)) {}
  Probe(const Probe&) = delete;
  Probe& operator=(const Probe&) = delete;
  virtual ~Probe() = default;

 protected:
  // The caller must not touch the object afterwards.
  void finish(const std::string& failure) {
    const auto done = std::exchange(done_, nullptr);
    if (done) done(failure);
  }

 private:
  Done done_;
};

}  // namespace liveswap::master
