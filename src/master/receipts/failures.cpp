#include "master/receipts/failures.hpp"

#include <algorithm>

#include "base/tail.hpp"

namespace liveswap::master {

std::string advice_on(std::string_view output, const std::string& releases) {
  while (!output.empty()) {
    const auto line = output.substr(0, output.find('\n'));
    output.remove_prefix(std::min(output.size(), line.size() + 1));
    if (line.find(releases) == std::string_view::npos) continue;
    for (const std::string_view sign : {"EACCES", "Permission denied", "EROFS", "Read-only file system"})
      if (line.find(sign) != std::string_view::npos)
        return "liveswap: its release in the store is read-only: let the application write to its working "
               "directory, or to a path that --env names\n";
  }
  return "";
}

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
