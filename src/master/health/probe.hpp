#pragma once

#include <functional>
#include <string>
#include <utility>

namespace liveswap::master {

// One health check in progress. It reports once, from the loop, never from its constructor; the report may
// destroy it. Destroying it earlier cancels it.
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
