#include "master/releases/commit_record.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.hpp"
#include "release/committed.hpp"

namespace liveswap::master {

Result<void> CommitRecord::write(const rollout::Release& release) {
  auto written = release::commit(head_, state_dir_, {release.path, release.id});
  if (!written) return written;
  timer_.stop();
  trouble_.clear();
  return written;
}

void CommitRecord::write_later(const std::string& trouble, Milliseconds pause) {
  trouble_ = trouble;
  timer_.start(pause, [this, pause] {
    const auto written = write(engine_.release());
    if (!written) return write_later(written.error().text, std::min(pause * 2, longest_pause));
    log::info("generation {}: recorded, as could not be done before", engine_.generation());
  });
}

std::string CommitRecord::write_at_last() {
  if (trouble_.empty()) return "";
  const auto written = write(engine_.release());
  if (written) return "";
  return fmt::format("the next start begins with the release before {} ({}): {}", engine_.release().path,
                     short_id(engine_.release().id), written.error().text);
}

}  // namespace liveswap::master
