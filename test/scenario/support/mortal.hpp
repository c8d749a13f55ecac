#pragma once

#include <signal.h>

#include <algorithm>
#include <memory>

#include "support/instance.hpp"
#include "support/proc.hpp"

namespace scenario {

// An instance whose masters are killed and started anew at the same site.
class Mortal {
 public:
  Mortal(std::shared_ptr<Site> site, const std::string& library, const Words& options = {},
         const Words& arguments = {})
      : site_(std::move(site)), options_(options), arguments_(arguments) {
    start(library);
  }
  Mortal(Scenario& scenario, const std::string& library, const Words& options = {},
         const Words& arguments = {})
      : Mortal(std::make_shared<Site>(scenario), library, options, arguments) {}

  Instance* operator->() { return app_.get(); }
  const Instance& operator*() const { return *app_; }
  const Site& site() const { return *site_; }
  const std::string& address() const { return site_->address(); }
  void kill() {
    app_->master().signal(SIGKILL);
    app_->master().wait();
    app_.reset();
  }
  // Without a library: what HEAD says.
  void start(const std::string& library = "") {
    app_ = std::make_unique<Instance>(site_, library, options_, arguments_);
  }
  void start_with(const Words& options) {
    options_ = options;
    start();
  }
  std::string log() { return app_->master().err(); }

 private:
  std::shared_ptr<Site> site_;
  Words options_, arguments_;
  std::unique_ptr<Instance> app_;
};

}  // namespace scenario
