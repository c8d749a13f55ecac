#include "release/history.hpp"

#include <doctest/doctest.h>
#include <sys/stat.h>

#include <chrono>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "support.hpp"

namespace fs = std::filesystem;
using namespace liveswap::release;
using Json = nlohmann::json;

namespace {

Json receipt(const std::string& outcome, char id, const std::string& path = "/srv/app.so") {
  return {{"outcome", outcome}, {"to", {{"path", path}, {"id", std::string(64, id)}}}};
}

std::string numbers(const History::Listed& list) {
  std::string text;
  for (const auto& item : list.receipts) text += item["number"].dump() + " ";
  return text;
}

}  // namespace

TEST_CASE("receipts are numbered from 1 and found again") {
  const TempDir dir;
  History history(dir.path());
  CHECK(contains(history.receipt({}).error().text, "nothing has been upgraded yet"));
  CHECK(contains(history.receipt(1).error().text, "the history is empty"));
  CHECK(history.list(5).receipts.empty());
  CHECK(history.committed(5).empty());
  CHECK(history.add(receipt("ok", 'a')).value() == 1);
  CHECK(history.add(receipt("failed", 'b')).value() == 2);
  CHECK(history.receipt(1).value()["outcome"] == "ok");
  CHECK(history.receipt({}).value()["number"] == 2);
  CHECK(contains(history.receipt(3).error().text, "there is no receipt 3: found 1 to 2"));
  CHECK(mode_of(dir / "history/1.json") == 0600);
  CHECK(get(dir / "history/1.json").back() == '\n');
}

TEST_CASE("the newest come last, and as many as are asked for") {
  const TempDir dir;
  History history(dir.path());
  for (int i = 0; i < 12; ++i) REQUIRE(history.add(receipt("ok", 'a')).has_value());
  CHECK(numbers(history.list(3)) == "10 11 12 ");
  CHECK(numbers(history.list(0)).empty());
  CHECK(history.list(99).receipts.size() == 12);
}

TEST_CASE("damaged receipts are left out, keep their numbers, and are said when asked for") {
  const TempDir dir;
  History history(dir.path());
  for (int i = 0; i < 6; ++i) REQUIRE(history.add(receipt("ok", 'a')).has_value());
  put(dir / "history/2.json", "");
  put(dir / "history/3.json", "{\"number\":3,");
  put(dir / "history/4.json", "[1]");
  put(dir / "history/6.json", "{\"number\":5}");
  CHECK(numbers(history.list(9)) == "1 5 ");
  CHECK(history.receipt({}).value()["number"] == 5);
  CHECK(contains(history.receipt(6).error().text,
                 "6.json is damaged: expected a JSON object with \"number\": 6"));
  CHECK(history.add(receipt("ok", 'b')).value() == 7);
}

// nlohmann's dump() and copies recurse for each level. Fewer levels than these use up a stack of 8 MiB.
TEST_CASE("receipts that are nested deeply or made of too many values are damaged ones") {
  const TempDir dir;
  History history(dir.path());
  for (int i = 0; i < 4; ++i) REQUIRE(history.add(receipt("ok", 'a')).has_value());
  const auto levels = [](std::size_t count) { return std::string(count, '[') + std::string(count, ']'); };
  put(dir / "history/2.json", "{\"number\":2,\"x\":" + levels(100'000) + "}");
  put(dir / "history/3.json", "{\"number\":3,\"x\":" + std::string(100'000, '['));
  std::string many = "{\"number\":4,\"x\":[0";
  for (int i = 0; i < 500'000; ++i) many += ",0";
  put(dir / "history/4.json", many + "]}");
  CHECK(contains(history.receipt(2).error().text,
                 "2.json is damaged: it is nested 100001 levels deep, expected at most 32"));
  CHECK(contains(history.receipt(3).error().text, "3.json is damaged: it is not valid JSON"));
  CHECK(contains(history.receipt(4).error().text, "4.json is damaged: it is made of"));
  CHECK(numbers(history.list(9)) == "1 ");
  CHECK(history.committed(9).size() == 1);
}

TEST_CASE("files that are no receipts are passed over") {
  const TempDir dir;
  History history(dir.path());
  REQUIRE(history.add(receipt("ok", 'a')).has_value());
  for (const std::string name :
       {"x.json", "-1.json", "007.json", "0.json", ".json", "9", "18446744073709551615.json",
        "99999999999999999999999.json", "notes.txt", "1.json.bak"})
    put(dir / ("history/" + name), "somebody's");
  fs::create_directory(dir / "history/5.json");
  CHECK(numbers(history.list(9)) == "1 ");
  CHECK(history.add(receipt("ok", 'a')).value() == 6);
  CHECK(fs::exists(dir / "history/1.json.bak"));
  CHECK(numbers(history.list(9)) == "1 6 ");
}

TEST_CASE("the newest thousand are kept, and what a killed master left is removed") {
  const TempDir dir;
  History history(dir.path());
  REQUIRE(history.add(receipt("ok", 'a')).has_value());
  for (int i = 2; i <= 1003; ++i)
    fs::copy(dir / "history/1.json", dir / ("history/" + std::to_string(i) + ".json"));
  put(dir / "history/7.json.Xa81fE", "half");
  CHECK(history.add(receipt("ok", 'b')).value() == 1004);
  history.prune();
  CHECK(std::distance(fs::directory_iterator(dir / "history"), {}) == 1000);
  CHECK_FALSE(fs::exists(dir / "history/4.json"));
  CHECK(fs::exists(dir / "history/5.json"));
  CHECK(history.receipt({}).value()["number"] == 1004);
}

TEST_CASE("what was refused pushes no upgrade out, neither of the list nor of the disk") {
  const TempDir dir;
  History history(dir.path());
  const Json refused{{"outcome", "refused"}, {"to", nullptr}};
  REQUIRE(history.add(receipt("ok", 'a')).value() == 1);
  REQUIRE(history.add(refused).value() == 2);
  REQUIRE(history.add(receipt("ok", 'b')).value() == 3);
  for (int i = 4; i < 110; ++i) REQUIRE(history.add(refused).value() == static_cast<unsigned>(i));
  history.prune();
  CHECK(fs::exists(dir / "history/109.refused.json"));
  // Receipts 2 and 4 to 9 are older than the newest hundred.
  CHECK_FALSE(fs::exists(dir / "history/9.refused.json"));
  CHECK(fs::exists(dir / "history/10.refused.json"));
  CHECK(std::distance(fs::directory_iterator(dir / "history"), {}) == 2 + History::refused_kept);
  CHECK(numbers(history.list(2)) == "1 3 108 109 ");
  CHECK(numbers(history.list(1)) == "3 109 ");
  CHECK(history.receipt({}).value()["number"] == 109);
  CHECK(history.receipt(50).value()["outcome"] == "refused");
  CHECK(history.committed(9).size() == 2);
  put(dir / "history/60.refused.json.Xa81fE", "half");
  REQUIRE(history.add(receipt("ok", 'c')).value() == 110);
  history.prune();
  CHECK_FALSE(fs::exists(dir / "history/60.refused.json.Xa81fE"));
  CHECK(numbers(history.list(2)) == "3 108 109 110 ");
}

TEST_CASE("the releases to go back to are those that were well, each once, newest first") {
  const TempDir dir;
  History history(dir.path());
  for (const auto& [outcome, id] : std::vector<std::pair<std::string, char>>{
           {"ok", 'a'}, {"ok", 'b'}, {"reverted", 'c'}, {"ok", 'a'}, {"failed", 'd'}, {"ok", 'e'}})
    REQUIRE(history.add(receipt(outcome, id, std::string("/srv/") + id)).has_value());
  const auto all = history.committed(9);
  REQUIRE(all.size() == 3);
  CHECK(all[0].path == "/srv/e");
  CHECK(all[1].id == std::string(64, 'a'));
  CHECK(all[2].path == "/srv/b");
  CHECK(history.committed(2).size() == 2);
}

TEST_CASE("receipts with members of other kinds than expected are no releases") {
  const TempDir dir;
  History history(dir.path());
  for (const auto& odd :
       {Json{{"outcome", 1}}, Json{{"outcome", "ok"}}, Json{{"outcome", "ok"}, {"to", nullptr}},
        Json{{"outcome", "ok"}, {"to", "text"}}, Json{{"outcome", "ok"}, {"to", {{"id", 7}}}},
        Json{{"outcome", "ok"}, {"to", {{"id", "abc"}, {"path", "/x"}}}}})
    REQUIRE(history.add(odd).has_value());
  CHECK(history.committed(9).empty());
  CHECK(history.list(9).receipts.size() == 6);
  CHECK_FALSE(history.add(Json::array()).has_value());
  CHECK(history.add(Json{{"reason", "not \xff UTF-8"}}).has_value());
  CHECK(history.receipt(7).has_value());
}

TEST_CASE("whatever stands in the directory is read within bounds, and nothing of it is followed") {
  const TempDir dir;
  History history(dir.path());
  REQUIRE(history.add(receipt("ok", 'a')).value() == 1);
  const std::size_t deep = 100'000;
  put(dir / "history/2.json", "{\"number\":2,\"x\":" + std::string(deep, '[') + std::string(deep, ']') + "}");
  put(dir / "history/3.json", std::string((std::size_t{16} << 20) + 1, ' '));
  put(dir / "elsewhere", Json{{"number", 4}}.dump());
  fs::create_symlink(dir / "elsewhere", dir / "history/4.json");
  REQUIRE(::mkfifo((dir / "history/5.json").c_str(), 0600) == 0);
  put(dir / "history/6.json", R"({"number":6.0,"outcome":{},"to":[{}],"kind":17})");
  put(dir / "history/7.json", R"({"number":-7})");
  CHECK(contains(history.receipt(2).error().text, "levels"));
  CHECK(contains(history.receipt(3).error().text, "more than 16777216 bytes"));
  CHECK(contains(history.receipt(4).error().text, "is a symbolic link"));
  CHECK(contains(history.receipt(5).error().text, "is a FIFO"));
  CHECK(history.receipt(6).has_value());
  CHECK_FALSE(history.receipt(7).has_value());
  CHECK(history.receipt({}).value()["number"] == 6);
  const auto listed = history.list(9);
  CHECK(numbers(listed) == "1 6.0 ");
  CHECK(listed.left_out == 5);
  CHECK(history.committed(9).size() == 1);
  CHECK(history.committed(9, {std::string(64, 'a')}).empty());
}

TEST_CASE("a list takes a bounded number of bytes and says how many it leaves out") {
  const TempDir dir;
  History history(dir.path());
  const Json large{{"outcome", "ok"}, {"reason", std::string(std::size_t{5} << 20, 'x')}};
  for (int i = 0; i < 4; ++i) REQUIRE(history.add(large).has_value());
  const auto listed = history.list(9);
  CHECK(numbers(listed) == "3 4 ");
  CHECK(listed.left_out == 2);
}

TEST_CASE(
    "a list that takes too long is what was read until then, the newest, and says how many it leaves out") {
  const TempDir dir;
  // Each reading of the clock adds 3 s: one at the beginning, and one before each receipt.
  std::chrono::steady_clock::time_point now{};
  History history(dir.path(), [&] { return now += std::chrono::seconds(3); });
  for (int i = 0; i < 4; ++i) REQUIRE(history.add(receipt("ok", 'a')).has_value());
  REQUIRE(history.add(receipt("refused", 'a')).value() == 5);
  for (int i = 0; i < 4; ++i) REQUIRE(history.add(receipt("ok", 'a')).has_value());
  put(dir / "history/9.json", "{");
  const auto listed = history.list(9);
  CHECK(numbers(listed) == "7 8 ");
  CHECK(listed.left_out == 7);
  CHECK(listed.why == "1 damaged, 6 older than those that could be read within 10 s");
  // Receipts beyond the requested number do not count as left out.
  now = {};
  const auto few = history.list(2);
  CHECK(numbers(few) == "7 8 ");
  CHECK(few.left_out == 1);
  now = {};
  CHECK(history.list(5).left_out == 5);  // receipt 9, and 3 to 6
}

TEST_CASE("a number that somebody has used meanwhile is passed over, and one that uses them up is named") {
  const TempDir dir;
  History history(dir.path());
  REQUIRE(history.add(receipt("ok", 'a')).value() == 1);
  put(dir / "history/2.json", "mine");
  put(dir / "history/3.refused.json", "mine");
  CHECK(history.add(receipt("ok", 'b')).value() == 4);
  CHECK(get(dir / "history/2.json") == "mine");
  // Also with so many names in the directory that the history's own are not among those that are looked at.
  for (int i = 0; i < 10'001; ++i) put(dir / ("history/x" + std::to_string(i)), "");
  CHECK(history.add(receipt("ok", 'b')).value() == 5);
  for (int i = 0; i < 10'001; ++i) fs::remove(dir / ("history/x" + std::to_string(i)));
  put(dir / "history/999999999.json", "{}");
  CHECK(contains(history.add(receipt("ok", 'c')).error().text, "the numbers are used up"));
}

TEST_CASE("a receipt is written under its reserved number, and nothing in its place is overwritten") {
  const TempDir dir;
  History history(dir.path());
  REQUIRE(history.add(receipt("ok", 'a')).value() == 1);
  const auto reserved = history.reserve().value();
  CHECK(reserved == 2);
  CHECK(history.add(receipt("ok", 'c')).value() == 3);
  CHECK_FALSE(history.has(reserved));
  CHECK(history.add(receipt("refused", 'b'), reserved).value() == 2);
  CHECK(history.has(reserved));
  CHECK(history.receipt({}).value()["number"] == 3);
  CHECK(history.add(receipt("reverted", 'b'), reserved).value() == 4);
  CHECK(history.receipt(2).value()["outcome"] == "refused");
  History next(dir.path());
  SUBCASE("a former master's number is not given again, though it has not been written") {
    next.adopt(7);
    CHECK(next.reserve().value() == 8);
    CHECK(next.add(receipt("ok", 'd'), 7).value() == 7);
  }
  SUBCASE("a number beyond the limit is no number") {
    next.adopt(1'000'000'000);
    CHECK(next.add(receipt("ok", 'e'), 1'000'000'000).value() == 5);
  }
}

TEST_CASE("a release that a rollback went away from is known as left until something goes to it again") {
  const TempDir dir;
  History history(dir.path());
  const auto went = [&](const char* kind, const char* outcome, char from, char to) {
    Json one = receipt(outcome, to);
    one["kind"] = kind;
    one["from"] = {{"path", "/srv/app.so"}, {"id", std::string(64, from)}};
    REQUIRE(history.add(one).has_value());
  };
  const auto left = [&] { return history.past(9).left; };
  went("upgrade", "ok", 'a', 'b');
  went("upgrade", "ok", 'b', 'c');
  CHECK(left().empty());
  went("rollback", "failed", 'c', 'b');
  CHECK(left().empty());
  went("rollback", "ok", 'c', 'b');
  CHECK(left() == std::set<std::string>{std::string(64, 'c')});
  went("upgrade", "ok", 'b', 'd');
  CHECK(left() == std::set<std::string>{std::string(64, 'c')});
  CHECK(history.past(9).committed.size() == 3);
  went("upgrade", "ok", 'd', 'c');
  CHECK(left().empty());
}

TEST_CASE("nothing that could not be committed was gone to") {
  for (const std::string& path :
       {std::string(), std::string("app.so"), std::string("/srv/a\nb"), std::string("/srv/a\0b", 8),
        "/" + std::string(4096, 'x'), std::string("/srv/"), std::string("/srv/."), std::string("/srv/..")}) {
    CAPTURE(path);
    CHECK_FALSE(went_to(receipt("ok", 'a', path)));
    const TempDir dir;
    CHECK_FALSE(commit(dir / "HEAD", dir.path(), {path, std::string(64, 'a')}).has_value());
  }
  CHECK(went_to(receipt("ok", 'a', "/" + std::string(4095, 'x'))));
}
