#include "master/health/prober.hpp"

#include <doctest/doctest.h>
#include <poll.h>
#include <sys/un.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <thread>

#include "base/unique_fd.hpp"
#include "test/support/temp_dir.hpp"

using namespace liveswap;
using namespace liveswap::master;
using liveswap::test::TempDir;

namespace {

// Gives every connection the same answer, until destruction.
class Server {
 public:
  using Serve = std::function<void(int client)>;
  Server(const std::string& address, Serve serve)
      : listeners_(std::move(*Listeners::open({{"http", address}}, ListenMode::shared, 64, 1))),
        thread_([this, serve] { run(serve); }) {}
  ~Server() {
    stopped_ = true;
    thread_.join();
  }
  std::vector<Listeners::Bound> bound() const { return listeners_.bound(); }
  unsigned accepted() const { return accepted_; }

 private:
  void run(const Serve& serve) {
    std::vector<UniqueFd> clients;  // kept open
    pollfd polled{listeners_.of_slot(0)[0], POLLIN, 0};
    while (!stopped_) {
      if (::poll(&polled, 1, 5) <= 0) continue;
      clients.push_back(UniqueFd::adopt(::accept4(polled.fd, nullptr, nullptr, SOCK_CLOEXEC)));
      if (!clients.back()) continue;
      ++accepted_;
      serve(clients.back().get());
    }
  }

  Listeners listeners_;
  std::atomic<bool> stopped_ = false;
  std::atomic<unsigned> accepted_ = 0;
  std::thread thread_;
};

Server::Serve answering(const std::string& answer) {
  return [answer](int client) {
    char request[1024];
    if (::recv(client, request, sizeof request, 0) <= 0) return;
    ::send(client, answer.data(), answer.size(), MSG_NOSIGNAL);
    ::shutdown(client, SHUT_WR);
  };
}

struct Round {
  liveswap::rollout::Probe findings;
  std::chrono::milliseconds took{0};
};

Round probe(const std::vector<std::string>& texts, const std::vector<Listeners::Bound>& listeners,
            Milliseconds limit = Milliseconds(2'000), unsigned connections = 4) {
  std::vector<config::HealthProbe> probes;
  for (const auto& text : texts) probes.push_back(*config::parse_health(text));
  uv_loop_t loop;
  uv_loop_init(&loop);
  Round round;
  const auto began = std::chrono::steady_clock::now();
  {
    auto done = [&](const liveswap::rollout::Probe& found) {
      round.findings = found;
      uv_stop(&loop);
    };
    Prober prober(loop, probes, listeners, {}, limit, done);
    prober.start(connections);
    CHECK(round.findings.made == 0);
    uv_run(&loop, UV_RUN_DEFAULT);
    CHECK_FALSE(prober.under_way());
  }
  uv_run(&loop, UV_RUN_DEFAULT);
  CHECK(uv_loop_close(&loop) == 0);
  round.took =
      std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - began);
  return round;
}

const std::string fine = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK";

}  // namespace

TEST_CASE("a round makes every connection, over TCP of both families and Unix sockets") {
  const TempDir dir;
  for (const std::string address : {"127.0.0.1:0", "[::1]:0", "*:0", "0.0.0.0:0"}) {
    CAPTURE(address);
    const Server server(address, answering(fine));
    const auto found = probe({"GET /health", "http=connect"}, server.bound()).findings;
    CHECK(found.made == 8);
    CHECK(found.failed == 0);
    CHECK(found.text == "");
  }
  const Server server("unix:" + (dir / "app.sock"), answering(fine));
  CHECK(probe({"GET /health 200"}, server.bound(), Milliseconds(2'000), 32).findings.made == 32);
  CHECK(server.accepted() == 32);
}

TEST_CASE("what is not well is told") {
  struct Row {
    const char* probe;
    std::string answer;
    std::string text;
  };
  for (const auto& [text, answer, expected] :
       {Row{"GET /a", "HTTP/1.1 503 No\r\n\r\n", "found status 503, expected 200 to 299"},
        {"GET /a 204", fine, "found status 200, expected 204"},
        {"GET /a", "SSH-2.0-OpenSSH_9.2\r\n", "the answer is not HTTP/1"},
        {"GET /a", "HTTP/1.1 2", "the answer is not HTTP/1"},
        {"GET /a", "HTTP/1.1 2x0 OK\r\n", "the answer is not HTTP/1"},
        {"GET /a", "", "the connection was closed without an answer"}}) {
    CAPTURE(answer);
    const Server server("127.0.0.1:0", answering(answer));
    const auto found = probe({text}, server.bound()).findings;
    CHECK(found.made == 4);
    CHECK(found.failed == 4);
    const std::string status = std::string(text).ends_with("204") ? "" : " 2xx";
    CHECK(found.text == std::string(text) + status + " (" + server.bound()[0].address + "): " + expected);
  }
}

TEST_CASE("nobody listens") {
  std::vector<Listeners::Bound> gone;
  {
    const Server server("127.0.0.1:0", answering(fine));
    gone = server.bound();
  }
  const auto found = probe({"connect"}, gone).findings;
  CHECK(found.failed == 4);
  CHECK(found.text == "connect (" + gone[0].address + "): cannot connect: Connection refused");
  CHECK(probe({"connect"}, {{"http", "unix:/nowhere/at/all"}})
            .findings.text.ends_with("No such file or directory"));
  CHECK(probe({"web=connect"}, gone, Milliseconds(2'000), 4).findings.text ==
        "web=connect: there is no such listener");
}

TEST_CASE("a probe has a time limit, and reads no more than it must") {
  const Server silent("127.0.0.1:0", [](int) {});
  const auto late = probe({"GET /"}, silent.bound(), Milliseconds(100));
  CHECK(late.findings.failed == 4);
  CHECK(late.findings.text.ends_with("no answer within 100 ms"));
  CHECK(late.took < Milliseconds(1'500));
  // The server never closes; the status line alone decides.
  const Server open("127.0.0.1:0",
                    [](int client) { ::send(client, fine.data(), fine.size(), MSG_NOSIGNAL); });
  CHECK(probe({"GET /"}, open.bound(), Milliseconds(100)).findings.failed == 0);
  const Server endless("127.0.0.1:0", [](int client) {
    const timeval patience{1, 0};
    ::setsockopt(client, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    std::string text = fine + std::string(60'000, 'x');
    while (::send(client, text.data(), text.size(), MSG_NOSIGNAL) > 0) continue;
  });
  const auto round = probe({"GET /"}, endless.bound(), Milliseconds(10'000), 1);
  CHECK(round.findings.failed == 0);
  CHECK(round.took < Milliseconds(5'000));
}

TEST_CASE("a command is well when it exits with 0, and its last lines say what is wrong") {
  const TempDir dir;
  const auto script = [&dir](const std::string& name, const std::string& text) {
    std::ofstream(dir / name) << "#!/bin/sh\n" << text << "\n";
    std::filesystem::permissions(dir / name, std::filesystem::perms::owner_all);
    return dir / name;
  };
  CHECK(probe({"run /bin/true"}, {}).findings.failed == 0);
  const auto bad = script("bad", "echo no $1\necho more; exit 3");
  const auto found = probe({"run " + bad + " luck", "run /bin/true"}, {}).findings;
  CHECK(found.made == 2);
  CHECK(found.failed == 1);
  CHECK(found.text == "run " + bad + " luck: exit status 3: no luck | more");
  CHECK(probe({"run " + script("talk", "echo one; echo two >&2; printf three; exit 1")}, {})
            .findings.text.ends_with("exit status 1: one | two | three"));
  CHECK(probe({"run " + script("talks_on", "seq 1 100000; exit 1")}, {})
            .findings.text.ends_with(" | 99999 | 100000"));
  CHECK(probe({"run /no/such"}, {}).findings.text ==
        "run /no/such: cannot execute /no/such: No such file or directory");
  CHECK(probe({"run " + script("loud", "head -c 1000000 /dev/zero")}, {}).findings.failed == 0);
  CHECK(probe({"run " + script("killed", "kill -9 $$")}, {}).findings.text.ends_with("killed by signal 9"));
}

TEST_CASE("a command that takes too long is killed, with what it has started") {
  const TempDir dir;
  const auto path = dir / "slow";
  std::ofstream(path) << "#!/bin/sh\nsleep 1000 &\necho $! >" << (dir / "pid") << "\nwait\n";
  std::filesystem::permissions(path, std::filesystem::perms::owner_all);
  const auto round = probe({"run " + path}, {}, Milliseconds(300));
  CHECK(round.findings.text == "run " + path + ": not done within 300 ms");
  CHECK(round.took < Milliseconds(2'000));
  pid_t pid = 0;
  std::ifstream(dir / "pid") >> pid;
  REQUIRE(pid > 0);
  // The new parent may not have reaped the process yet.
  std::string state = "Z";
  for (int i = 0; i < 1'000; ++i) {
    std::ifstream stat("/proc/" + std::to_string(pid) + "/stat");
    std::string ignored;
    if (!(stat >> ignored >> ignored >> state) || state == "Z") break;
    std::this_thread::sleep_for(Milliseconds(1));
  }
  CHECK(state == "Z");
}

TEST_CASE("a round can be given up, and nothing to do is done at once") {
  const Server silent("127.0.0.1:0", [](int) {});
  uv_loop_t loop;
  uv_loop_init(&loop);
  unsigned rounds = 0;
  {
    const std::vector<config::HealthProbe> probes{*config::parse_health("GET /"),
                                                  *config::parse_health("run /bin/cat")};
    Prober prober(loop, probes, silent.bound(), {}, Milliseconds(10'000), [&](const auto&) { ++rounds; });
    prober.start(4);
    for (int i = 0; i < 20; ++i) uv_run(&loop, UV_RUN_NOWAIT);
    prober.start(4);
    uv_run(&loop, UV_RUN_NOWAIT);
    prober.cancel();
    uv_run(&loop, UV_RUN_DEFAULT);
    Prober idle(loop, {}, silent.bound(), {}, Milliseconds(1), [&](const auto&) { rounds += 10; });
    idle.start(4);
    uv_run(&loop, UV_RUN_DEFAULT);
  }
  uv_run(&loop, UV_RUN_DEFAULT);
  CHECK(uv_loop_close(&loop) == 0);
  CHECK(rounds == 10);
  CHECK(probe_connections(1) == 4);
  CHECK(probe_connections(8) == 16);
  CHECK(probe_connections(1024) == 32);
}
