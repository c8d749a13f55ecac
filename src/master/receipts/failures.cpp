#include "master/receipts/failures.hpp"

#include "base/tail.hpp"

namespace liveswap::master {

void Failures::add(Failure failure) {
  last_[failure.slot] = failure;
  newest_.push_back(std::move(failure));
  if (newest_.size() > limit) newest_.pop_front();
}

std::string Failures::with_output_of(rollout::RequestId request, const std::string& reason) const {
  for (const Failure& failure : newest_)
    if (failure.request == request && reason.find(failure.reason) != std::string::npos)
      return with_output(reason, failure.output);
  return reason;
}

const Failures::Failure* Failures::last_of(unsigned slot) const {
  const auto it = last_.find(slot);
  return it == last_.end() ? nullptr : &it->second;
}

}  // namespace liveswap::master
