#include "load/judge.hpp"

#include <doctest/doctest.h>

using namespace liveswap::load;

namespace {

Answer answer(int status, const std::string& version, const std::string& body) {
  Answer result;
  result.status = status;
  result.version = version;
  result.body.append(body);
  return result;
}

}  // namespace

TEST_CASE("the version is what the server states, else status and first line") {
  Judge judge({});
  CHECK(judge.judge(answer(200, "v1", "hello"), Kind::rate).version == "v1");
  CHECK(judge.judge(answer(404, "v1", "nothing"), Kind::rate).version == "v1");
  CHECK(judge.judge(answer(200, "", "hello v1\r\nmore"), Kind::rate).version == "200 hello v1");
  CHECK(judge.judge(answer(404, "", ""), Kind::rate).version == "404");
  CHECK(judge.judge(answer(200, "", "a\x01\xff"), Kind::rate).version == "200 a\\x01\\xff");
  const std::string a = judge.judge(answer(200, "", std::string(5000, 'a')), Kind::rate).version;
  const std::string b = judge.judge(answer(200, "", std::string(4999, 'a') + "b"), Kind::rate).version;
  CHECK(a.starts_with("200 #"));
  CHECK(a != b);
}

TEST_CASE("a status or version that is not expected is wrong") {
  Judge judge({.statuses = {200, 503}, .versions = {"v1", "v2"}, .bodies = {}});
  CHECK(judge.judge(answer(200, "v1", ""), Kind::rate).outcome == Outcome::ok);
  CHECK(judge.judge(answer(503, "v2", ""), Kind::rate).outcome == Outcome::ok);
  CHECK(judge.judge(answer(404, "v1", ""), Kind::rate).reason == "unexpected status 404");
  CHECK(judge.judge(answer(200, "v3", ""), Kind::rate).reason == "unexpected version v3");
}

TEST_CASE("the answers of a version have one body, for each status and kind") {
  Judge judge({});
  const auto outcome = [&](const Answer& given, Kind kind = Kind::rate) {
    return judge.judge(given, kind).outcome;
  };
  CHECK(outcome(answer(200, "v1", "one")) == Outcome::ok);
  CHECK(outcome(answer(200, "v2", "two")) == Outcome::ok);
  CHECK(outcome(answer(404, "v1", "none")) == Outcome::ok);
  CHECK(outcome(answer(200, "v1", "slow"), Kind::slow) == Outcome::ok);
  CHECK(outcome(answer(200, "v1", "one")) == Outcome::ok);
  CHECK(outcome(answer(200, "v1", "two")) == Outcome::wrong);
  CHECK(outcome(answer(200, "v1", "")) == Outcome::wrong);
  CHECK(outcome(answer(200, "v1", "slow")) == Outcome::wrong);
  Judge lenient({.versions = {}, .bodies = {}, .same_body = false});
  CHECK(lenient.judge(answer(200, "v1", "one"), Kind::rate).outcome == Outcome::ok);
  CHECK(lenient.judge(answer(200, "v1", "two"), Kind::rate).outcome == Outcome::ok);
}

TEST_CASE("a body that was stated is expected from the first answer on") {
  Judge judge({.versions = {}, .bodies = {{"v1", "hello"}}, .same_body = false});
  CHECK(judge.judge(answer(200, "v1", "hello"), Kind::rate).outcome == Outcome::ok);
  CHECK(judge.judge(answer(200, "v1", "hello\n"), Kind::rate).outcome == Outcome::ok);
  CHECK(judge.judge(answer(200, "v1", "hello!"), Kind::rate).outcome == Outcome::wrong);
  CHECK(judge.judge(answer(200, "v1", "other"), Kind::slow).outcome == Outcome::ok);
  CHECK(judge.judge(answer(200, "v2", "other"), Kind::rate).outcome == Outcome::ok);
}

TEST_CASE("versions without end are wrong") {
  Judge judge({});
  for (int i = 0; i < 1000; ++i)
    CHECK(judge.judge(answer(200, "", std::to_string(i)), Kind::rate).outcome == Outcome::ok);
  CHECK(judge.judge(answer(200, "", "1000"), Kind::rate).outcome == Outcome::wrong);
  CHECK(judge.judge(answer(200, "", "999"), Kind::rate).outcome == Outcome::ok);
}
