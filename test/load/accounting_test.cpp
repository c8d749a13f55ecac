#include "load/accounting.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <random>

#include "load/schedule.hpp"

using namespace liveswap::load;
using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;

namespace {

const Verdict ok_v1{Outcome::ok, "v1", {}};

std::uint64_t exact(std::vector<std::uint64_t> values, double quantile) {
  std::sort(values.begin(), values.end());
  return values[static_cast<std::size_t>(std::ceil(quantile * static_cast<double>(values.size()))) - 1];
}

}  // namespace

TEST_CASE("a histogram is exact for small values") {
  Histogram histogram;
  CHECK(histogram.at(0.99) == 0);
  for (std::uint64_t value = 1; value <= 100; ++value) histogram.record(value);
  CHECK(histogram.at(0) == 1);
  CHECK(histogram.at(0.5) == 50);
  CHECK(histogram.at(0.99) == 99);
  CHECK(histogram.at(0.991) == 100);
  CHECK(histogram.at(1) == 100);
  CHECK(histogram.max() == 100);
}

TEST_CASE("a histogram is within 1/128 of sorted values, and never below") {
  std::mt19937 random(1);
  std::uniform_real_distribution<double> exponent(0, 9);
  Histogram histogram;
  std::vector<std::uint64_t> values;
  for (int i = 0; i < 20'000; ++i) {
    values.push_back(static_cast<std::uint64_t>(std::pow(10, exponent(random))));
    histogram.record(values.back());
  }
  for (const double quantile : {0.001, 0.1, 0.5, 0.9, 0.99, 0.999, 1.0}) {
    const auto wanted = static_cast<double>(exact(values, quantile));
    CHECK(static_cast<double>(histogram.at(quantile)) >= wanted);
    CHECK(static_cast<double>(histogram.at(quantile)) <= wanted * (1 + 1.0 / 128));
  }
}

TEST_CASE("a histogram takes any value") {
  Histogram histogram;
  histogram.record(~std::uint64_t{0});
  CHECK(histogram.max() == ~std::uint64_t{0});
  CHECK(histogram.count() == 1);
}

TEST_CASE("a schedule is an open loop that does not drift") {
  Schedule schedule(300, 1'000'000, seconds(1000));
  CHECK(schedule.take(Time{}) == Time{});
  CHECK_FALSE(schedule.take(microseconds(3333)));
  CHECK(schedule.take(microseconds(3334)) == Time(3'333'333));
  // A late client catches up, with the times at which the requests were due.
  for (int n = 2; n < 300; ++n) CHECK(schedule.take(seconds(1)) == Time(n * 1'000'000'000LL / 300));
  CHECK(schedule.take(seconds(1)) == seconds(1));
  CHECK_FALSE(schedule.take(seconds(1)));
}

TEST_CASE("a schedule ends by number or by time, and leaves nothing behind") {
  Schedule numbered(100, 2, seconds(10));
  CHECK(numbered.take(seconds(5)));
  CHECK_FALSE(numbered.over(seconds(5)));
  CHECK(numbered.take(seconds(5)));
  CHECK_FALSE(numbered.take(seconds(5)));
  CHECK(numbered.over(seconds(5)));

  Schedule timed(2, 1000, seconds(1));
  CHECK_FALSE(timed.over(seconds(2)));
  CHECK(timed.take(seconds(2)) == Time{});
  CHECK(timed.take(seconds(2)) == milliseconds(500));
  CHECK_FALSE(timed.take(seconds(2)));
  CHECK_FALSE(timed.over(milliseconds(999)));
  CHECK(timed.over(seconds(1)));

  Schedule none(0, 1000, seconds(1));
  CHECK_FALSE(none.take(seconds(5)));
  CHECK_FALSE(none.over(milliseconds(999)));
  CHECK(none.over(seconds(1)));
}

TEST_CASE("errno values have a class each") {
  CHECK(failure_of_errno("connect", ECONNREFUSED).outcome == Outcome::refused);
  CHECK(failure_of_errno("read", ECONNRESET).outcome == Outcome::reset);
  CHECK(failure_of_errno("send", EPIPE).outcome == Outcome::reset);
  const Verdict ports = failure_of_errno("connect", EADDRNOTAVAIL);
  CHECK(ports.outcome == Outcome::other);
  CHECK(ports.reason == "connect: Cannot assign requested address");
}

TEST_CASE("every attempt is in one class, one phase, and one version or reason") {
  Accounting books(seconds(1));
  const auto attempt = [&](Kind kind, Time intended, Time end, const Verdict& verdict) {
    books.end({kind, books.begin(kind, intended, intended), intended, end}, verdict);
  };
  attempt(Kind::rate, milliseconds(0), milliseconds(2), ok_v1);
  attempt(Kind::slow, milliseconds(1), milliseconds(900), ok_v1);
  books.mark("during", milliseconds(1000));
  attempt(Kind::rate, milliseconds(999), milliseconds(1001), {Outcome::ok, "v2", {}});
  attempt(Kind::rate, milliseconds(1000), milliseconds(1005), failure(Outcome::reset, "read"));
  attempt(Kind::rate, milliseconds(1010), milliseconds(1015), failure(Outcome::reset, "read"));

  CHECK_FALSE(books.mismatch());
  CHECK(books.total.attempts == 5);
  CHECK(books.total.failures() == 2);
  CHECK(books.total.of(Outcome::reset) == 2);
  CHECK(books.total.slow_attempts == 1);
  CHECK(books.total.latency.count() == 2);
  CHECK(books.total.latency.max() == 2000);
  CHECK(books.total.slow_latency.max() == 899'000);
  // The intended time decides the phase, not the time of sending or of the answer.
  CHECK(books.phases[0].tally.attempts == 3);
  CHECK(books.phases[0].tally.versions.at("v2") == 1);
  CHECK(books.phases[1].tally.attempts == 2);
  CHECK(books.phases[1].tally.failures() == 2);
  CHECK(books.versions.at("v1").count == 2);
  CHECK(books.versions.at("v1").first == milliseconds(2));
  CHECK(books.versions.at("v1").last == milliseconds(900));
  CHECK(books.reasons.at({Outcome::reset, "read"}).count == 2);
}

TEST_CASE("the books show an attempt that was lost, or ended twice") {
  Accounting lost(seconds(1));
  const std::size_t phase = lost.begin(Kind::rate, Time{}, Time{});
  CHECK(lost.mismatch());
  lost.end({Kind::rate, phase, Time{}, Time{}}, ok_v1);
  CHECK_FALSE(lost.mismatch());
  lost.end({Kind::rate, phase, Time{}, Time{}}, ok_v1);
  CHECK(lost.mismatch());
}

TEST_CASE("the books show an attempt that ended in another phase") {
  Accounting books(seconds(1));
  books.mark("second", seconds(1));
  books.begin(Kind::rate, Time{}, Time{});
  books.end({Kind::rate, 1, Time{}, Time{}}, ok_v1);
  CHECK(books.mismatch());
}

TEST_CASE("there is no end to reasons, but to their number") {
  Accounting books(seconds(1));
  for (int i = 0; i < 1000; ++i) {
    const std::size_t phase = books.begin(Kind::rate, Time{}, Time{});
    books.end({Kind::rate, phase, Time{}, Time{}}, failure(Outcome::wrong, std::to_string(i)));
  }
  CHECK_FALSE(books.mismatch());
  CHECK(books.reasons.size() < 300);
}

TEST_CASE("the timeline says which version answered when") {
  Timeline timeline(milliseconds(100));
  for (std::uint64_t latency = 1; latency <= 200; ++latency)
    timeline.answered(milliseconds(50), "v1", Kind::rate, latency);
  timeline.answered(milliseconds(99), "v2", Kind::slow, 1'000'000);
  timeline.failed(milliseconds(310));
  timeline.answered(milliseconds(320), "v2", Kind::rate, 7);
  const auto& buckets = timeline.close();
  REQUIRE(buckets.size() == 2);
  CHECK(buckets[0].versions.at("v1") == 200);
  CHECK(buckets[0].versions.at("v2") == 1);
  CHECK(buckets[0].p99_us == 198);
  CHECK(buckets[0].max_us == 200);
  CHECK(buckets[1].index == 3);
  CHECK(buckets[1].failures == 1);
  CHECK(buckets[1].ok == 1);
  CHECK(buckets[1].p99_us == 7);
}
