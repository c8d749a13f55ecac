#include "cli/time_scale.hpp"

#include <algorithm>
#include <cmath>

namespace liveswap::cli {
namespace {

constexpr std::size_t least_columns = 3;  // of a phase

// Divides `total` in proportion to `weights`; the shares add up to `total`.
std::vector<std::size_t> shares_of(std::size_t total, const std::vector<double>& weights) {
  double sum = 0, before = 0;
  for (const double weight : weights) sum += weight;
  std::vector<std::size_t> shares;
  std::size_t given = 0;
  for (const double weight : weights) {
    before += weight;
    const double part = sum > 0 ? std::min(before / sum, 1.0) : 1.0;
    const auto until = static_cast<std::size_t>(std::floor(part * static_cast<double>(total) + 1e-9));
    shares.push_back(until - given);
    given = until;
  }
  if (!shares.empty()) shares.back() += total - given;
  return shares;
}

}  // namespace

TimeScale::TimeScale(std::vector<Phase> phases, const Moments& moments, std::int64_t length,
                     std::size_t width)
    : phases_(std::move(phases)) {
  width = std::max<std::size_t>(width, 1);
  if (phases_.empty() || phases_.size() * least_columns > width) phases_ = {{"", 0}};
  phases_.front().at = 0;
  for (std::size_t i = 1; i < phases_.size(); ++i) phases_[i].at = std::max(phases_[i].at, phases_[i - 1].at);
  length = std::max(length, phases_.back().at);

  std::vector<Moments> of_phase(phases_.size());
  for (std::int64_t moment : moments) {
    moment = std::clamp<std::int64_t>(moment, 0, length);
    const auto after = std::upper_bound(phases_.begin(), phases_.end(), moment,
                                        [](std::int64_t one, const Phase& phase) { return one < phase.at; });
    of_phase[static_cast<std::size_t>(after - phases_.begin()) - 1].push_back(moment);
  }
  for (std::size_t i = 0; i < phases_.size(); ++i) {
    auto& list = of_phase[i];
    list.push_back(phases_[i].at);
    std::sort(list.begin(), list.end());
    list.erase(std::unique(list.begin(), list.end()), list.end());
  }
  share_columns(of_phase, length, width);
  for (std::size_t i = 0; i < phases_.size(); ++i)
    place(phases_[i], of_phase[i], i + 1 < phases_.size() ? phases_[i + 1].at : length);
}

// First gives each phase the columns for its name and moments, up to an equal share. Distributes the rest by
// the square root of the length: otherwise a bake of a minute would take all columns.
void TimeScale::share_columns(const std::vector<Moments>& moments, std::int64_t length, std::size_t width) {
  const std::size_t fair = width / phases_.size();
  std::vector<double> weights;
  std::size_t taken = 0;
  for (std::size_t i = 0; i < phases_.size(); ++i) {
    Phase& phase = phases_[i];
    const std::int64_t end = i + 1 < phases_.size() ? phases_[i + 1].at : length;
    phase.columns =
        std::clamp(std::max(moments[i].size(), phase.name.size() + 1), std::min(least_columns, fair), fair);
    taken += phase.columns;
    const double wanted = static_cast<double>(moments[i].size()) + 1;
    weights.push_back(std::sqrt(static_cast<double>(end - phase.at)) * wanted + 1e-3);
  }
  const auto more = shares_of(width - taken, weights);
  std::size_t column = 0;
  for (std::size_t i = 0; i < phases_.size(); ++i) {
    phases_[i].column = column;
    phases_[i].columns += more[i];
    column += phases_[i].columns;
  }
}

void TimeScale::place(const Phase& phase, const Moments& moments, std::int64_t end) {
  if (phase.columns < moments.size()) {
    for (std::size_t i = 0; i < moments.size(); ++i)
      columns_[moments[i]] = phase.column + i * phase.columns / moments.size();
    return;
  }
  std::vector<double> lengths;
  for (std::size_t i = 0; i < moments.size(); ++i)
    lengths.push_back(static_cast<double>((i + 1 < moments.size() ? moments[i + 1] : end) - moments[i]));
  const auto more = shares_of(phase.columns - moments.size(), lengths);
  std::size_t column = phase.column;
  for (std::size_t i = 0; i < moments.size(); ++i) {
    columns_[moments[i]] = column;
    column += 1 + more[i];
  }
}

std::size_t TimeScale::column(std::int64_t moment) const {
  const auto after = columns_.upper_bound(moment);
  return after == columns_.begin() ? after->second : std::prev(after)->second;
}

}  // namespace liveswap::cli
