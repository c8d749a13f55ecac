// What the host offers to a running application, one area of the header after the other.
#include <doctest/doctest.h>
#include <sys/socket.h>

#include <fstream>
#include <string>

#include "harness.hpp"

using namespace liveswap::test;

namespace {

Worker::Settings probing(std::string constructor = "") {
  Worker::Settings settings{.path = probe()};
  if (!constructor.empty()) settings.environment["PROBE_CONSTRUCTOR"] = std::move(constructor);
  return settings;
}

}  // namespace

TEST_CASE("readiness: automatic unless deferred, said once") {
  Worker worker = Worker::start(probing());
  CHECK(worker.expect(LIVESWAP_ENTERED).value == 0);
  worker.tell("defer");
  worker.expect(LIVESWAP_DEFERRED);
  worker.tell("ready");
  worker.expect(LIVESWAP_READY);
  worker.tell("ready");
  worker.tell("defer");
  CHECK(worker.ask("draining") == "0");
  worker.send(LIVESWAP_MESSAGE, 1, "return 5");
  CHECK(worker.expect(LIVESWAP_RETURNED).value == 5);
  CHECK(worker.expect(LIVESWAP_LOG).text == "destructor");
  CHECK_FALSE(worker.kept(LIVESWAP_READY));
  CHECK_FALSE(worker.kept(LIVESWAP_DEFERRED));
  CHECK(worker.wait().number == 5);
}

TEST_CASE("readiness: a constructor may defer it or bring it forward") {
  Worker deferred = Worker::start(probing("defer"));
  CHECK(deferred.expect(LIVESWAP_ENTERED).value == 1);
  Worker ready = Worker::start(probing("ready"));
  CHECK(ready.expect(LIVESWAP_ENTERED).value == 1);
  CHECK(ready.next()->kind == LIVESWAP_READY);
  Worker by_note = Worker::start({.path = fixture("never_ready")});
  CHECK(by_note.expect(LIVESWAP_ENTERED).value == 1);
}

TEST_CASE("drain: the descriptor stays readable, a later order replaces the limit") {
  Worker worker = Worker::start(probing());
  CHECK(worker.ask("draining") == "0");
  CHECK(worker.ask("left") == "-1");
  CHECK(worker.ask("drain-readable") == "0");
  worker.send(LIVESWAP_DRAIN, -1);
  CHECK(worker.ask("draining") == "1");
  CHECK(worker.ask("left") == "-1");
  CHECK(worker.ask("drain-readable") == "1");
  worker.send(LIVESWAP_DRAIN, 50'000);
  const long left = std::stol(worker.ask("left"));
  CHECK(left > 30'000);
  CHECK(left <= 50'000);
  worker.send(LIVESWAP_DRAIN, 0);
  CHECK(worker.ask("left") == "0");
  CHECK(worker.ask("drain-readable") == "1");
}

TEST_CASE("drain: a real server finishes and returns 0") {
  const auto listener = listen_tcp();
  Worker worker = Worker::start({.path = fixture("version_v2"), .listeners = {listener.get()}, .names = "0"});
  worker.expect(LIVESWAP_ENTERED);
  CHECK(get(listener.get()).find("X-Version: v2") != std::string::npos);
  worker.send(LIVESWAP_DRAIN, 20'000);
  CHECK(worker.expect(LIVESWAP_RETURNED).value == 0);
  CHECK(worker.wait().number == 0);
}

TEST_CASE("holds: a worker that drains waits for them, within the limit") {
  Worker worker = Worker::start(probing());
  worker.tell("release");  // without a hold: ignored
  worker.tell("hold");
  worker.tell("hold");
  worker.tell("release");
  worker.send(LIVESWAP_DRAIN, 20'000);
  worker.send(LIVESWAP_MESSAGE, 1, "return-then-release 0");
  CHECK(worker.expect(LIVESWAP_RETURNED).value == 0);
  CHECK(worker.wait().number == 0);

  Worker limited = Worker::start(probing());
  limited.tell("hold");
  limited.send(LIVESWAP_DRAIN, -1);
  limited.send(LIVESWAP_MESSAGE, 1, "return 0");
  limited.expect(LIVESWAP_RETURNED);
  // Held: it still answers, often enough for one that had left to be missed. Then the limit is made shorter.
  for (int i = 0; i < 500; ++i) {
    limited.send(LIVESWAP_COUNT, 9);
    while (limited.expect(LIVESWAP_COUNTED).value != 9) {
    }
  }
  limited.send(LIVESWAP_DRAIN, 1);
  CHECK(limited.wait().number == 0);

  Worker failed = Worker::start(probing());
  failed.tell("hold");
  failed.send(LIVESWAP_MESSAGE, 1, "return 4");
  failed.expect(LIVESWAP_RETURNED);
  CHECK(failed.wait().number == 4);
}

TEST_CASE("listeners: by name, non-blocking, and none of the host's descriptors reaches a child") {
  const auto one = listen_tcp();
  const auto two = listen_tcp();
  Worker::Settings settings{.path = probe(), .listeners = {one.get(), two.get()}, .names = "web,1"};
  Worker worker = Worker::start(settings);
  CHECK(worker.ask("first") == std::to_string(LIVESWAP_FD_LISTENERS));
  CHECK(worker.ask("listener web") == std::to_string(LIVESWAP_FD_LISTENERS));
  CHECK(worker.ask("listener 1") == std::to_string(LIVESWAP_FD_LISTENERS + 1));
  CHECK(worker.ask("listener 0") == "-1 ENOENT");
  CHECK(worker.ask("listener") == "-1 EINVAL");
  CHECK(worker.ask("accept") == "-1 EAGAIN");
  CHECK(worker.ask("flags") == "without close-on-exec:");
  Worker none = Worker::start(probing());
  CHECK(none.ask("first") == "-1");
}

TEST_CASE("messages: whole or not at all") {
  Worker worker = Worker::start(probing());
  worker.expect(LIVESWAP_ENTERED);
  CHECK(worker.ask(std::string(65535, 'm')) == "65535 bytes");
  worker.tell("capacity 200");
  CHECK(worker.ask(std::string(200, 'm')) == "-1 EMSGSIZE");
  CHECK(worker.expect(LIVESWAP_LOG).text == "200 bytes");  // kept, and taken with more room
  worker.tell("capacity 201");
  CHECK(worker.ask(std::string(200, 'm')) == "200 bytes");
  CHECK(worker.ask("null-message") == "-1 EINVAL");
}

TEST_CASE("messages: what cannot be kept is refused, with the number of the one refused") {
  Worker worker = Worker::start(probing());
  worker.expect(LIVESWAP_ENTERED);
  worker.send(LIVESWAP_MESSAGE, 41, "");
  CHECK(worker.expect(LIVESWAP_REFUSED).value == 41);
  worker.send(LIVESWAP_MESSAGE, 42, std::string(65536, 'm'));
  CHECK(worker.expect(LIVESWAP_REFUSED).value == 42);
  worker.tell("pause");
  int taken = 0;
  for (int number = 100;; ++number) {
    worker.send(LIVESWAP_MESSAGE, number, "x");
    const auto answer = worker.next();
    REQUIRE(answer);
    CHECK(answer->value == number);
    if (answer->kind == LIVESWAP_REFUSED) break;
    if (answer->kind == LIVESWAP_TAKEN) ++taken;
    REQUIRE(taken < 10'000);
  }
  CHECK(taken > 10);
}

TEST_CASE("who am I") {
  Worker::Settings settings = probing();
  settings.arguments = {"hello there", "-x"};
  Worker worker = Worker::start(settings);
  CHECK(worker.ask("who") == "slot 3 generation 7 argc 3 argv[1] hello there end 1");
  std::string name;
  std::getline(std::ifstream("/proc/" + std::to_string(worker.pid()) + "/comm"), name);
  CHECK(name == "lsw:3/7 libprob");
}

TEST_CASE("log: a long line is cut and marked") {
  Worker worker = Worker::start(probing());
  worker.tell("log 1 4096");
  CHECK(worker.expect(LIVESWAP_LOG).text == std::string(4096, 'l'));
  worker.tell("log 1 4097");
  const Frame cut = worker.expect(LIVESWAP_LOG);
  CHECK(cut.text == std::string(4090, 'l') + " [cut]");
  CHECK(cut.value == 0);
}

TEST_CASE("log: a master that does not read blocks nobody, and is told what it missed") {
  Worker worker = Worker::start(probing());
  worker.expect(LIVESWAP_ENTERED);
  worker.send(LIVESWAP_MESSAGE, 1, "log 5000 4000");
  worker.send(LIVESWAP_MESSAGE, 2, "ready");  // vital: waits for room
  worker.expect(LIVESWAP_READY);
  worker.send(LIVESWAP_MESSAGE, 3, "draining");  // its answer has room again
  std::string report;
  unsigned lines = 0;
  for (std::string text; text != "0"; text = worker.expect(LIVESWAP_LOG).text) {
    if (text.find("dropped") != std::string::npos) report = text;
    if (text[0] == 'l') ++lines;
  }
  CHECK(report.find("lines of log were dropped") != std::string::npos);
  CHECK(lines > 0);
  CHECK(lines < 5000);
}

TEST_CASE("a forked child neither holds the channel nor speaks on it") {
  Worker worker = Worker::start(probing());
  CHECK(worker.ask("fork") == "child has gone");
}

TEST_CASE("a frame that makes no sense is left alone") {
  Worker worker = Worker::start(probing());
  worker.send(63, 1, "from the future");
  const char fragment[] = "abc";
  REQUIRE(::send(worker.channel(), fragment, 3, 0) == 3);
  CHECK(worker.ask("draining") == "0");
}
