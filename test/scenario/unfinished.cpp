// An answer that pauses is not idle, however it is sent; and connections that are ended or handed off are
// counted.
#include <doctest/doctest.h>

#include <atomic>
#include <filesystem>
#include <mutex>
#include <thread>
#include <vector>

#include "support/connection.hpp"
#include "support/file.hpp"
#include "support/instance.hpp"
#include "support/load.hpp"
#include "support/proc.hpp"
#include "support/sessions.hpp"

namespace scenario {
namespace {

const std::string library = BINDER_BUILD "/libstreamer_v1.so", again = BINDER_BUILD "/libstreamer_v2.so";
// Much longer than the grace of 100 ms.
constexpr milliseconds long_time{700};

std::string request(const std::string& path, const std::string& method = "GET") {
  return method + " " + path + " HTTP/1.1\r\nHost: localhost\r\n\r\n";
}

// The version in the answer to `GET /`; "": no answer.
std::string version_of(Connection& connection) {
  if (!connection.send(request("/"))) return "";
  for (std::string line; (line = connection.read_line()) != "\r\n";)
    if (!line.ends_with("\n")) return "";
  return connection.read_exactly(2);
}

// One worker, which is then replaced while its requests are unanswered until open().
class Stream {
 public:
  Stream(Scenario& scenario, const std::string& keepalive, const std::string& path = "",
         const std::string& grace = "100ms")
      : gate_(scenario.dir / "gate"),
        address_(path.empty() ? port_.address() : "unix:" + path),
        app_(scenario, library,
             {"--entry", "main", "--forks", "1", "--keepalive-grace", grace, "--keepalive", keepalive},
             {path.empty() ? port_.text() : path, gate_}) {
    std::filesystem::remove(gate_);
  }

  Connection connect() const { return Connection(address_); }
  const std::string& address() const { return address_; }
  Instance& app() { return app_; }
  void open() const { write_file(gate_, ""); }

  // Returns when the successor serves, and the old worker has drained for much longer than the grace.
  void upgrade() {
    old_ = app_.workers().at(0);
    REQUIRE(app_.upgrade(again, {"--detach"}).status == Exit::ok);
    REQUIRE(eventually([&] {
      const auto now = app_.workers();
      return app_.status().value("state", "") == "running" && now.size() == 1 && now[0] != old_;
    }));
    let_pass(long_time);
  }
  bool old_runs() const { return proc::runs(old_); }
  bool old_leaves() const {
    return eventually([&] { return !proc::runs(old_); });
  }
  // The old worker's part of the receipt.
  Json old_worker() const {
    Json found;
    REQUIRE(eventually([&] {
      for (const auto& slot : Json::parse(app_.run("receipt", {"--json"}).out).value("slots", Json::array()))
        for (const auto& worker : slot["workers"])
          if (worker["role"] == "old" && !worker["gone_ms"].is_null()) found = worker;
      return !found.is_null();
    }));
    return found;
  }

 private:
  std::string gate_;
  Port port_;
  std::string address_;
  Instance app_;
  pid_t old_ = 0;
};

// The rest of an answer, up to its end or to that of the connection.
std::string rest_of(Connection& connection, const std::string& path) {
  std::string all;
  if (path == "/large") all = connection.read_exactly(4 << 20);
  while (!contains(all, "second")) {
    const std::string line = connection.read_line();
    all += line;
    if (!line.ends_with("\n")) break;
  }
  return all;
}

void check_is_finished(Scenario& scenario, const std::string& keepalive, const std::string& path,
                       bool local = false) {
  CAPTURE(keepalive);
  CAPTURE(path);
  Stream stream(scenario, keepalive, local ? scenario.dir / "app.sock" : "");
  auto streamed = stream.connect(), idle = stream.connect();
  // The next answer is the second one on its connection.
  REQUIRE(version_of(streamed) == "v1");
  REQUIRE(streamed.send(request(path)));
  REQUIRE(streamed.read_line().starts_with("HTTP/1.1 "));
  REQUIRE(version_of(idle) == "v1");
  stream.upgrade();
  CHECK(stream.old_runs());
  // By now the idle connection has been ended or handed off.
  if (keepalive == "migrate" && !local) CHECK(version_of(idle) == "v2");
  else CHECK(idle.ends());
  stream.open();
  CHECK(contains(rest_of(streamed, path), "second"));
  CHECK(stream.old_leaves());
  const Json old = stream.old_worker();
  CHECK(old["end"] == "clean");
  CHECK(old["ended"].get<int>() + old["handed_off"].get<int>() >= 1);
}

}  // namespace

TEST_CASE_FIXTURE(Scenario, "an answer that pauses is finished, however it is sent") {
  for (const std::string path : {"/chunked", "/flushed", "/events", "/length", "/announced", "/lines",
                                 "/trailers", "/writev", "/interim", "/file", "/large", "/raw"})
    check_is_finished(*this, "end", path);
}

TEST_CASE_FIXTURE(Scenario, "an answer that pauses is not handed off") {
  for (const std::string path : {"/chunked", "/events", "/length"}) check_is_finished(*this, "migrate", path);
}

TEST_CASE_FIXTURE(Scenario, "the same over a Unix socket") {
  for (const std::string path : {"/chunked", "/length"}) check_is_finished(*this, "end", path, true);
}

// The worker host examines each connection while the application uses it: bytes that are sent during the scan
// count, too.
TEST_CASE_FIXTURE(Scenario, "many answers that pause are finished") {
  Stream stream(*this, "end");
  std::vector<Connection> all;
  for (int i = 0; i < 200; ++i) all.push_back(stream.connect());
  unsigned cut = 0, whole = 0;
  const auto ask_all = [&] {
    for (Connection& one : all) one.send(request("/soon"));
    for (Connection& one : all) {
      std::string line = one.read_line(), answer = line;
      for (; line.ends_with("\n") && line != "0\r\n"; line = one.read_line()) answer += line;
      whole += line == "0\r\n";
      // A late client finds its connection ended, without a byte of an answer.
      cut += line != "0\r\n" && !answer.empty();
      one.read_line();
    }
  };
  ask_all();
  CHECK(whole == all.size());
  REQUIRE(stream.app().upgrade(again, {"--detach"}).status == Exit::ok);
  for (int i = 0; i < 20; ++i) ask_all();
  CHECK(whole > 2 * all.size());
  CHECK(cut == 0);
}

// liveswap does not know the protocol; the kernel's counters show that the server has long been sending
// without requests.
TEST_CASE_FIXTURE(Scenario, "a server that speaks by itself may pause") {
  Stream stream(*this, "end");
  {
    auto pushed = stream.connect(), idle = stream.connect();
    REQUIRE(pushed.send(request("/push")));
    REQUIRE(version_of(idle) == "v1");
    for (int i = 0; i < 10; ++i) REQUIRE(pushed.read_line() == "tick\n");
    stream.upgrade();
    CHECK(idle.ends());
    CHECK(stream.old_runs());
    stream.open();
    CHECK(contains(rest_of(pushed, "/push"), "second"));
  }
  CHECK(stream.old_leaves());
}

// An answered connection is idle, also if the answer to HEAD announced a body, and if the worker host did not
// see the bytes that were sent.
TEST_CASE_FIXTURE(Scenario, "what is answered is idle, is ended or handed off, and is counted") {
  for (const std::string keepalive : {"end", "migrate"}) {
    CAPTURE(keepalive);
    Stream stream(*this, keepalive);
    std::vector<Connection> idle;
    for (int i = 0; i < 3; ++i) idle.push_back(stream.connect());
    REQUIRE(version_of(idle[0]) == "v1");
    REQUIRE(idle[1].send(request("/", "HEAD")));
    while (idle[1].read_line() != "\r\n") {
    }
    stream.open();
    REQUIRE(idle[2].send(request("/stdio")));
    while (idle[2].read_line() != "0\r\n") {
    }
    REQUIRE(idle[2].read_line() == "\r\n");
    stream.upgrade();
    CHECK(stream.old_leaves());
    const bool hands_off = keepalive == "migrate";
    const Json old = stream.old_worker();
    CHECK(old["ended"] == (hands_off ? 0 : 3));
    CHECK(old["handed_off"] == (hands_off ? 3 : 0));
    const std::string line = hands_off ? "slot 0: ended 0 idle connections, handed off 3"
                                       : "slot 0: ended 3 idle connections, handed off 0";
    CHECK(eventually([&] { return contains(stream.app().master().err(), line); }));
    const std::string told = hands_off ? "3 idle ones handed off" : "3 idle ones ended";
    CHECK_MESSAGE(contains(stream.app().run("receipt").out, told), stream.app().run("receipt").out);
    for (Connection& one : idle) CHECK((hands_off ? version_of(one) == "v2" : one.ends()));
  }
}

// Clients that read answers in parts, one after the other.
class Readers {
 public:
  Readers(const std::string& address, unsigned clients) {
    for (unsigned i = 0; i < clients; ++i) threads_.emplace_back([this, address] { run(address); });
  }
  ~Readers() { stop(); }
  void stop() {
    stopping_ = true;
    for (auto& thread : threads_) thread.join();
    threads_.clear();
  }
  unsigned long whole() const { return whole_; }
  // The received parts of answers that were cut. Call it after stop().
  const std::vector<std::string>& cut() const { return cut_; }

 private:
  void read_one(const std::string& address) {
    Connection connection(address);
    std::string all, line = connection.send(request("/timed")) ? connection.read_line() : "";
    for (; line.ends_with("\n") && line != "0\r\n"; line = connection.read_line()) all += line;
    if (line == "0\r\n") {
      ++whole_;
      return;
    }
    const std::lock_guard held(lock_);
    cut_.push_back(all + line);
  }
  void run(const std::string& address) {
    while (!stopping_) read_one(address);
  }

  std::atomic<bool> stopping_ = false;
  std::atomic<unsigned long> whole_ = 0;
  std::mutex lock_;
  std::vector<std::string> cut_;
  std::vector<std::thread> threads_;
};

TEST_CASE_FIXTURE(Scenario, "20 upgrades under load, new and kept connections and answers that pause") {
  for (const std::string keepalive : {"end", "migrate"}) {
    CAPTURE(keepalive);
    // Less than the pauses of the answers, and longer than a busy machine delays a client.
    Stream stream(*this, keepalive, "", "600ms");
    Load load(*this, stream.address(), {"--rate", "100"});
    Sessions sessions(stream.address());
    Readers readers(stream.address(), 8);
    for (int i = 1; i <= 20; ++i) REQUIRE(stream.app().upgrade(i % 2 ? again : library).status == Exit::ok);
    readers.stop();
    for (const auto& [what, count] : sessions.stop()) FAIL_CHECK(count, " times: ", what);
    load.stop().check_nothing_lost();
    for (const std::string& cut : readers.cut()) FAIL_CHECK("cut: \"", cut, "\"");
    CHECK(readers.whole() > 20);
    MESSAGE(keepalive, ": ", readers.whole(), " answers in parts, 0 cut, ", sessions.answers(),
            " on kept connections, 0 failed");
  }
}

}  // namespace scenario
