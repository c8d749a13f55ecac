#include "master/receipts/failures.hpp"

#include <algorithm>
#include <cctype>

#include "base/tail.hpp"

namespace liveswap::master {

namespace {

// Whatever the case of the letters is.
bool has(std::string_view line, std::string_view part) {
  const auto same = [](char a, char b) {
    return std::tolower(static_cast<unsigned char>(a)) == std::tolower(static_cast<unsigned char>(b));
  };
  return std::search(line.begin(), line.end(), part.begin(), part.end(), same) != line.end();
}

}  // namespace

std::string advice_on(std::string_view output, const std::string& releases) {
  while (!output.empty()) {
    const auto line = output.substr(0, output.find('\n'));
    output.remove_prefix(std::min(output.size(), line.size() + 1));
    if (line.find(releases) == std::string_view::npos) continue;
    for (const std::string_view sign : {"EACCES", "permission denied", "EROFS", "read-only file system"})
      if (has(line, sign))
        return "liveswap: if it wanted to write there: its release in the store is read-only; let the "
               "application write to its working directory, or to a path that --env names\n";
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
