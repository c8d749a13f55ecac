#include "master/workers/worker_query.hpp"

#include <vector>

#include "test_loop.hpp"

using namespace liveswap::master;
using liveswap::test::TestLoop;

namespace {

using Asked = std::vector<std::pair<WorkerQuery::Worker, WorkerQueries::Number>>;

WorkerQueries::Ask into(Asked& asked) {
  return [&asked](WorkerQuery::Worker worker, WorkerQueries::Number number) {
    asked.emplace_back(worker, number);
  };
}

}  // namespace

TEST_CASE("worker queries: each ends when its workers have answered or gone") {
  TestLoop loop;
  WorkerQueries queries(loop);
  Asked asked;
  std::vector<WorkerQuery::Answers> done;
  const auto add = [&](const WorkerQuery::Answers& answers) { done.push_back(answers); };
  queries.ask({1, 2}, Milliseconds{60'000}, into(asked), add);
  queries.ask({1, 3}, Milliseconds{60'000}, into(asked), add);
  CHECK(asked == Asked{{1, 1}, {2, 1}, {1, 2}, {3, 2}});
  queries.answer(1, 1, 10);
  queries.answer(1, 9, 10);  // this worker was not asked
  queries.answer(2, 1, 11);
  queries.answer(7, 1, 12);  // there is no such query
  CHECK(done.empty());
  queries.forget(2);
  REQUIRE(done.size() == 1);
  CHECK(done[0] == WorkerQuery::Answers{{1, 10}});
  queries.answer(2, 3, 13);
  REQUIRE(done.size() == 2);
  CHECK(done[1] == WorkerQuery::Answers{{1, 11}, {3, 13}});
}

TEST_CASE("worker queries: an answer may be given while the workers are still asked") {
  TestLoop loop;
  WorkerQueries queries(loop);
  WorkerQuery::Answers got;
  queries.ask(
      {1, 2}, Milliseconds{60'000},
      [&](WorkerQuery::Worker worker, WorkerQueries::Number number) {
        queries.answer(number, worker, worker == 2);
      },
      [&](const WorkerQuery::Answers& answers) { got = answers; });
  CHECK(got == WorkerQuery::Answers{{1, 0}, {2, 1}});
}

TEST_CASE("worker queries: one that is asked of nobody, or not answered in time, ends by itself") {
  TestLoop loop;
  WorkerQueries queries(loop);
  Asked asked;
  unsigned done = 0;
  queries.ask({}, Milliseconds{60'000}, into(asked), [&](const auto&) { ++done; });
  queries.ask({1}, Milliseconds{1}, into(asked), [&](const auto&) { ++done; });
  CHECK(done == 0);
  CHECK(loop.until([&] { return done == 2; }));
}
