#pragma once

#include <doctest/doctest.h>
#include <signal.h>

#include <memory>
#include <optional>

#include "support/service_manager.hpp"

namespace scenario {

// A service at a site of its own, ended with the object.
class Service {
 public:
  Service(Scenario& scenario, ServiceManager& manager, const Words& options)
      : Service(std::make_shared<Site>(scenario), manager, options) {}
  Service(std::shared_ptr<Site> site, ServiceManager& manager, const Words& options)
      : site_(std::move(site)), manager_(manager), options_(options), process_(begin()) {}
  ~Service() {
    if (process_->running()) stop();
    show_on_failure("the master's log", process_->err());
  }

  const Site& site() const { return *site_; }
  Process& process() { return *process_; }
  void wait_ready() { REQUIRE_MESSAGE(manager_.says("READY=1"), process_->err()); }
  Finished stop() {
    process_->signal(SIGTERM);
    return process_->wait();
  }
  // As `systemctl restart`.
  void restart() {
    CHECK(stop().status == Exit::ok);
    manager_.forget();
    process_.emplace(begin());
    wait_ready();
  }
  void start_again() { process_.emplace(begin()); }

 private:
  Process begin() { return manager_.start(*site_, options_); }

  std::shared_ptr<Site> site_;
  ServiceManager& manager_;
  Words options_;
  std::optional<Process> process_;
};

inline Words listening(const Site& site, const Words& more = {}) {
  return Words{"--listen", "web=" + site.address(), "--settle", "20ms"} + more;
}

}  // namespace scenario
