// Files in history/ that no master has written: whatever they contain, the master lives and answers.
#include <doctest/doctest.h>

#include "support/connection.hpp"
#include "support/instance.hpp"

namespace scenario {
namespace {

std::string nested(std::size_t levels) { return std::string(levels, '[') + std::string(levels, ']'); }

void put(const Instance& app, int number, const std::string& text) {
  write_file(app.site().state_dir() + "/history/" + std::to_string(number) + ".json", text);
}

TEST_CASE_FIXTURE(Scenario, "receipts that are nested deeply are refused, and the master lives") {
  Instance app(*this, fixture("version_v1"));
  for (const int number : {2, 3})
    put(app, number,
        "{\"number\":" + std::to_string(number) + ",\"outcome\":\"ok\",\"to\":" +
            (number == 2 ? nested(100'000) : std::string(100'000, '[')) + "}");
  for (const int number : {2, 3}) {
    const auto receipt = app.run("receipt", {std::to_string(number)});
    CHECK(receipt.status == Exit::failed);
    CHECK(contains(receipt.err, number == 2 ? "levels deep, expected at most 32" : "not valid JSON"));
    CHECK(app.run("rollback", {std::to_string(number)}).status == Exit::failed);
  }
  CHECK(app.run("history").status == Exit::ok);
  CHECK(app.upgrade(fixture("version_v2")).status == Exit::ok);
  CHECK(contains(http_get(app.address()), "v2"));
  CHECK(app.master().running());
}

TEST_CASE_FIXTURE(Scenario, "rollbacks to receipts whose members are of other types get an answer") {
  Instance app(*this, fixture("version_v1"));
  const std::string id = R"("id":")" + std::string(64, 'a') + '"';
  const std::vector<std::string> odd{
      R"("outcome":{},"to":{"path":"/x",)" + id + "}",
      R"("outcome":["ok"],"to":7)",
      R"("outcome":"ok")",
      R"("outcome":"ok","to":{"path":{},)" + id + "}",
      R"("outcome":"ok","to":{"path":"/x","id":[1]})",
      R"("outcome":"ok","to":[],"reason":1e300,"length_ms":18446744073709551615,)"
      R"("started":{},"slots":{"a":7})"};
  int number = 2;
  for (const auto& members : odd) {
    put(app, number, "{\"number\":" + std::to_string(number) + "," + members + "}");
    CHECK(app.run("rollback", {std::to_string(number)}).status == Exit::failed);
    CHECK(app.run("receipt", {std::to_string(number)}).status == Exit::ok);
    ++number;
  }
  CHECK(app.run("history").status == Exit::ok);
  CHECK_FALSE(contains(app.master().err(), "internal error"));
  CHECK(contains(http_get(app.address()), "v1"));
}

}  // namespace
}  // namespace scenario
