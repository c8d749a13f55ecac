#include <doctest/doctest.h>
#include <sys/socket.h>

#include <chrono>
#include <fstream>
#include <nlohmann/json.hpp>
#include <vector>

#include "base/file.hpp"
#include "client/connection.hpp"
#include "fake_server.hpp"
#include "liveswap.hpp"
#include "test/support/temp_dir.hpp"

using namespace liveswap;
using liveswap::test::TempDir;
using namespace std::chrono_literals;
using Json = nlohmann::json;

namespace {

struct Place {
  TempDir directory;
  Client::Where where(std::uint16_t port = 3999) const {
    Client::Where where;
    where.port = port;
    where.runtime_dir = directory.path();
    where.state_dir = directory.path();
    return where;
  }
  std::string socket(std::uint16_t port = 3999) const {
    return directory.path() + "/" + std::to_string(port) + ".sock";
  }
};

// A port that was free a moment ago.
std::uint16_t free_port() {
  return FakeServer::on_tcp([](int) {}).port();
}

FakeServer::Play answers(std::string text) {
  return [text = std::move(text)](int socket) { say(socket, text); };
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

Outcome outcome_of_line(const std::string& line) {
  Place place;
  auto server = FakeServer::on_unix(place.socket(), answers(line));
  return Client(place.where()).kill();
}

}  // namespace

TEST_CASE("events come before the answer, in their order") {
  Place place;
  auto server = FakeServer::on_unix(place.socket(), [](int socket) {
    say(socket, R"({"event":"spawned","slot":0})"
                "\n"
                R"({"event":"rea)");
    say(socket, R"(dy","slot":0})"
                "\r\n"
                R"({"cmd":"upgrade","value":"OK","text":"generation 2 serves"})"
                "\n");
  });
  std::vector<std::string> events;
  const auto outcome =
      Client(place.where()).upgrade("lib.so", [&](const std::string& json) { events.push_back(json); });
  CHECK(outcome.status == ok);
  CHECK(outcome.text == "generation 2 serves");
  CHECK(events ==
        std::vector<std::string>{R"({"event":"spawned","slot":0})", R"({"event":"ready","slot":0})"});
  const auto sent = Json::parse(server.received());
  CHECK(sent["cmd"] == "upgrade");
  CHECK(sent["value"] == current_directory() + "/lib.so");
  CHECK_FALSE(sent.contains("token"));
}

TEST_CASE("an upgrade without a path leaves it to the master") {
  Place place;
  auto server = FakeServer::on_unix(place.socket(), answers("{\"cmd\":\"upgrade\",\"value\":\"OK\"}\n"));
  CHECK(Client(place.where()).upgrade().status == ok);
  CHECK(Json::parse(server.received())["value"] == "");
}

TEST_CASE("each status word has its exit status") {
  const std::vector<std::pair<std::string, Status>> words{{"failed", failed},       {"usage", usage},
                                                          {"refused", refused},     {"reverted", reverted},
                                                          {"timed_out", timed_out}, {"new_word", failed}};
  for (const auto& [word, status] : words) {
    CAPTURE(word);
    const auto outcome = outcome_of_line(R"({"cmd":"kill","error":"why","status":")" + word + "\"}\n");
    CHECK(outcome.status == status);
    CHECK(outcome.text == "why");
  }
}

TEST_CASE("a message counts who took it") {
  const std::vector<std::tuple<std::string, Status, std::string>> rows{
      {R"("delivered":2,"workers":2)", ok, "2 of 2 workers took the message"},
      {R"("delivered":1,"workers":2)", failed, "1 of 2 workers took the message"},
      {R"("delivered":0,"workers":0)", failed, "there is no worker to take the message"}};
  for (const auto& [members, status, text] : rows) {
    Place place;
    auto server =
        FakeServer::on_unix(place.socket(), answers(R"({"cmd":"message","value":"OK",)" + members + "}\n"));
    const auto outcome = Client(place.where()).message("hi");
    CHECK(outcome.status == status);
    CHECK(outcome.text == text);
  }
}

TEST_CASE("status is the object, request the whole answer") {
  const std::string line = R"({"cmd":"status","status":{"pid":1},"value":"OK"})";
  Place place;
  {
    auto server = FakeServer::on_unix(place.socket(), answers(line + "\n"));
    CHECK(Client(place.where()).status().text == R"({"pid":1})");
  }
  std::filesystem::remove(place.socket());
  auto server = FakeServer::on_unix(place.socket(), answers(line + "\n"));
  CHECK(Client(place.where()).request(R"({"cmd":"status"})").text == line);
  CHECK(Client(place.where()).request(R"({"cmd":"dance"})").status == usage);
}

TEST_CASE("an upgrade with wishes") {
  Place place;
  auto server = FakeServer::on_unix(place.socket(),
                                    answers(R"({"cmd":"upgrade","value":"OK","text":"done","receipt":7})"
                                            "\n"));
  UpgradeWishes wishes;
  wishes.canary = Amount{10, true};
  wishes.surge = Amount{2, false};
  wishes.bake = 1500ms;
  wishes.batch = 3;
  wishes.flip = false;
  wishes.queue = true;
  const auto outcome = Client(place.where()).upgrade("", wishes);
  CHECK(outcome.status == ok);
  CHECK(outcome.text == "done");
  CHECK(outcome.receipt == 7);
  CHECK(Json::parse(server.received()) == Json{{"cmd", "upgrade"},
                                               {"value", ""},
                                               {"canary", "10%"},
                                               {"surge", "2"},
                                               {"bake", "1500ms"},
                                               {"batch", "3"},
                                               {"flip", false},
                                               {"queue", true}});
}

TEST_CASE("a failure has its receipt too") {
  const auto outcome = outcome_of_line(R"({"cmd":"rollback","error":"why","status":"reverted","receipt":8})"
                                       "\n");
  CHECK(outcome.status == reverted);
  CHECK(outcome.text == "why");
  CHECK(outcome.receipt == 8);
}

TEST_CASE("what an upgrade is steered with, and what it left") {
  const auto sent_by = [](auto call, const std::string& answer, Outcome& outcome) {
    Place place;
    auto server = FakeServer::on_unix(place.socket(), answers(answer + "\n"));
    outcome = call(Client(place.where()));
    return Json::parse(server.received());
  };
  const std::string done = R"({"cmd":"x","value":"OK"})";
  Outcome outcome;
  CHECK(sent_by([](Client c) { return c.rollback("3"); }, done, outcome) ==
        Json{{"cmd", "rollback"}, {"value", "3"}});
  CHECK(sent_by([](Client c) { return c.rollback(); }, done, outcome)["value"] == "");
  CHECK(sent_by([](Client c) { return c.promote(); }, done, outcome)["cmd"] == "promote");
  CHECK(sent_by([](Client c) { return c.abort(); }, done, outcome)["cmd"] == "abort");

  CHECK(sent_by([](Client c) { return c.history(5); },
                R"({"cmd":"history","value":"OK","history":[{"number":1}]})",
                outcome) == Json{{"cmd", "history"}, {"value", "5"}});
  CHECK(outcome.text == R"([{"number":1}])");
  CHECK(sent_by([](Client c) { return c.receipt(12); },
                R"({"cmd":"receipt","value":"OK","receipt":{"number":12}})",
                outcome) == Json{{"cmd", "receipt"}, {"value", "12"}});
  CHECK(outcome.text == R"({"number":12})");
  CHECK(outcome.receipt == 0);
  CHECK(sent_by([](Client c) { return c.receipt(); }, done, outcome)["value"] == "");
}

TEST_CASE("forks goes out as digits") {
  Place place;
  auto server = FakeServer::on_unix(place.socket(), answers("{\"cmd\":\"forks\",\"value\":\"OK\"}\n"));
  CHECK(Client(place.where()).forks(7).status == ok);
  CHECK(Json::parse(server.received())["value"] == "7");
}

TEST_CASE("without a master the text says what was tried and what to do") {
  Place place;
  const auto port = free_port();
  const auto outcome = Client(place.where(port)).kill();
  CHECK(outcome.status == no_master);
  const std::string number = std::to_string(port);
  CHECK(outcome.text.starts_with("no master on port " + number + " (no socket " + place.socket(port) +
                                 ", and 127.0.0.1:" + number + " refuses connections); "));
  CHECK(outcome.text.ends_with("start one: liveswap start libapp.so -p " + number + " --state-dir " +
                               place.directory.path() + " --runtime-dir " + place.directory.path()));
}

TEST_CASE("TCP, with the token of the file, when the socket is not there or dead") {
  for (const bool dead_socket : {false, true}) {
    CAPTURE(dead_socket);
    Place place;
    std::ofstream(place.directory / "token") << "abcdef\n";
    auto server = FakeServer::on_tcp(answers("{\"cmd\":\"kill\",\"value\":\"OK\"}\n"));
    // Closes the listener; the socket's file stays.
    if (dead_socket) FakeServer::on_unix(place.socket(server.port()), [](int) {});
    CHECK(Client(place.where(server.port())).kill().status == ok);
    CHECK(Json::parse(server.received())["token"] == "abcdef");
  }
}

TEST_CASE("a dead socket and no TCP is no master") {
  Place place;
  const auto port = free_port();
  FakeServer::on_unix(place.socket(port), [](int) {});
  const auto outcome = Client(place.where(port)).kill();
  CHECK(outcome.status == no_master);
  CHECK(contains(outcome.text, "no process listens on " + place.socket(port)));
}

TEST_CASE("a token that was given wins over the file; none at all is left out") {
  Place place;
  auto first = FakeServer::on_tcp(answers("{\"cmd\":\"kill\",\"value\":\"OK\"}\n"));
  CHECK(Client(place.where(first.port())).kill().status == ok);
  CHECK_FALSE(Json::parse(first.received()).contains("token"));

  std::ofstream(place.directory / "token") << "abcdef";
  auto second = FakeServer::on_tcp(answers("{\"cmd\":\"kill\",\"value\":\"OK\"}\n"));
  auto where = place.where(second.port());
  where.token = "given";
  CHECK(Client(where).kill().status == ok);
  CHECK(Json::parse(second.received())["token"] == "given");
}

TEST_CASE("another machine is asked by TCP at once") {
  Place place;
  auto local = FakeServer::on_unix(place.socket(), answers("{\"cmd\":\"kill\",\"value\":\"OK\"}\n"));
  auto where = place.where();
  where.address = "192.0.2.1";  // from the address block for documentation: no host answers
  where.timeout = 200ms;
  CHECK(Client(where).kill().status != ok);
  CHECK(local.received().empty());
}

TEST_CASE("a connection that ends before the answer leaves the outcome unknown") {
  for (const char* said : {"", "{\"event\":\"spawned\"}\n", "{\"cmd\":\"kill\",\"val"}) {
    CAPTURE(said);
    const auto outcome = outcome_of_line(said);
    CHECK(outcome.status == failed);
    CHECK(contains(outcome.text, "closed the connection before it answered: the outcome of kill is unknown"));
    CHECK(contains(outcome.text, "liveswap status -p 3999"));
  }
}

TEST_CASE("who is no master is told so") {
  for (const char* said : {"HTTP/1.1 400 Bad Request\r\n\r\n", "\x15\x03\x01", "[1]\n", "{\"hello\":1}\n"}) {
    CAPTURE(said);
    const auto outcome = outcome_of_line(said);
    CHECK(outcome.status == failed);
    CHECK(contains(outcome.text, "is no liveswap master: it said \""));
  }
  CHECK(contains(outcome_of_line("\x1b[2J\n").text, "\".[2J"));
}

TEST_CASE("a line without end is cut off") {
  const auto outcome = outcome_of_line("{" + std::string(16'800'000, ' '));
  CHECK(outcome.status == failed);
  CHECK(contains(outcome.text, "more than 16777216 bytes"));
}

TEST_CASE("a master that never answers, and one that talks without end") {
  for (const bool talks : {false, true}) {
    CAPTURE(talks);
    Place place;
    auto server = FakeServer::on_unix(place.socket(), [talks](int socket) {
      if (!talks) return wait_for_end(socket);
      const std::string event = "{\"event\":\"x\"}\n";
      while (::send(socket, event.data(), event.size(), MSG_NOSIGNAL) > 0) {
      }
    });
    auto where = place.where();
    where.timeout = 100ms;
    const auto begin = std::chrono::steady_clock::now();
    const auto outcome = Client(where).kill();
    CHECK(std::chrono::steady_clock::now() - begin >= 100ms);
    CHECK(outcome.status == timed_out);
    CHECK(contains(outcome.text, "within 0.1 s: the outcome of kill is unknown"));
  }
}

TEST_CASE("what is there at the deadline is read, and nothing after that") {
  int ends[2];
  REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) == 0);
  const auto peer = UniqueFd::adopt(ends[1]);
  const auto say = [&](const std::string& text) {
    REQUIRE(::send(peer.get(), text.data(), text.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(text.size()));
  };
  const std::string long_line(40'000, 'x');
  say(long_line + "\n");
  const auto deadline = client::Deadline::after(1ms);
  client::Connection connection(UniqueFd::adopt(ends[0]), deadline);
  while (!deadline.has_passed()) continue;
  std::string line;
  CHECK(connection.receive(line) == client::Connection::IoResult::ok);
  CHECK(line == long_line);
  say("late\n");
  CHECK(connection.receive(line) == client::Connection::IoResult::timed_out);
}

TEST_CASE("what would be altered or cut on its way is not sent") {
  Place place;
  CHECK(Client(place.where()).message("\xff").status == usage);
  CHECK(Client(place.where()).message(std::string("a\0b", 3)).status == usage);
  CHECK(Client(place.where()).message(std::string(70'000, 'x')).status == usage);
}

TEST_CASE("a path that is too long for a socket is an error, not another path") {
  Place place;
  auto where = place.where();
  where.runtime_dir += "/" + std::string(120, 'd');
  const auto outcome = Client(where).kill();
  CHECK(outcome.status == failed);
  CHECK(contains(outcome.text, "expected at most 107"));
}

TEST_CASE("hints in an answer are completed once, and a document stays JSON") {
  Place place;
  auto where = place.where();
  where.state_dir = "/srv/it's \"mine\"";
  const std::string told = R"(`liveswap abort -p 3999 --state-dir '/srv/it'\''s "mine"' --runtime-dir )" +
                           place.directory.path() + "`";
  auto server = FakeServer::on_unix(
      place.socket(),
      answers("{\"cmd\":\"status\",\"value\":\"OK\",\"status\":{\"note\":\"`liveswap abort`\"}}\n"));
  const auto status = Json::parse(Client(where).status().text, nullptr, false);
  REQUIRE(status.is_object());
  CHECK(status["note"] == told);
  Place other;
  where.runtime_dir = other.directory.path();
  auto refusing = FakeServer::on_unix(
      other.socket(), answers("{\"cmd\":\"kill\",\"status\":\"refused\",\"error\":\"`liveswap abort`\"}\n"));
  const auto outcome = Client(where).kill();
  CHECK(outcome.status == refused);
  CHECK(contains(outcome.text, "`liveswap abort -p 3999 --state-dir "));
}
