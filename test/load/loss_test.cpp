// The load client counts losses: the real client, against servers that lose requests in known ways.
#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <sys/socket.h>

#include <cstdlib>
#include <filesystem>

#include "load/dialer.hpp"
#include "load/load_run.hpp"
#include "load/tiny_server.hpp"
#include "test/support/temp_dir.hpp"

using namespace liveswap::load;
using namespace liveswap::load::test;

namespace {

using Arguments = std::vector<std::string>;

const Arguments some = {"--rate", "1000", "--requests", "100", "--timeout-ms", "20000"};

Arguments with(Arguments more, const std::string& url, Arguments base = some) {
  base.insert(base.end(), more.begin(), more.end());
  base.push_back(url);
  return base;
}

Behaviour answer_raw(const std::string& text) {
  return [text](Peer& peer, const std::string&) {
    send_text(peer.fd.get(), text);
    return false;
  };
}

// Each of a hundred requests must end in that class.
void check_all(const std::string& name, Behaviour behaviour, const Arguments& more = {}) {
  CAPTURE(name);
  const ThreadServer server(std::move(behaviour));
  LoadRun run(with(more, server.listener().url()));
  CHECK(run.finish() == 1);
  CHECK(run.attempts() == 100);
  CHECK(run.count(name) == 100);
}

}  // namespace

TEST_CASE("a good server loses nothing, with a connection for each request") {
  const ThreadServer server(answer_with("v1", "hello"));
  LoadRun run(with({}, server.listener().url()));
  CHECK(run.next_line() == "first answer: v1");
  CHECK(run.finish() == 0);
  CHECK(run.attempts() == 100);
  CHECK(run.count("ok") == 100);
  CHECK(run.json()["connections"]["opened"] == 100);
  CHECK(run.json()["versions"]["v1"]["count"] == 100);
}

TEST_CASE("a good server loses nothing on connections that are kept") {
  const ThreadServer server(answer_with("v1", "hello"));
  LoadRun run(
      with({"--keep-alive", "--connections", "5", "--max-connections", "5"}, server.listener().url()));
  CHECK(run.finish() == 0);
  CHECK(run.count("ok") == 100);
  CHECK(run.json()["connections"]["opened"] == 5);
  CHECK(run.json()["connections"]["reused"] == 95);
}

TEST_CASE("a connection that is reset is counted") {
  check_all("reset", [](Peer& peer, const std::string&) {
    reset_on_close(peer.fd.get());
    return false;
  });
}

TEST_CASE("an answer that is cut off is counted, wherever it is cut") {
  const std::string whole = http_answer("v1", "hello");
  for (const std::size_t size :
       {std::size_t{0}, std::size_t{1}, whole.find("\r\n\r\n") + 2, whole.size() - 1})
    check_all("truncated", answer_raw(whole.substr(0, size)));
}

TEST_CASE("an answer that never comes is counted, and so is one that never ends") {
  const auto never = [](Peer&, const std::string&) { return true; };
  check_all("timed_out", never, {"--timeout-ms", "100"});
  check_all("timed_out", never, {"--timeout-ms", "100", "--keep-alive", "--connections", "3"});
  // Most of these requests never get a connection.
  check_all("timed_out", never, {"--timeout-ms", "100", "--max-connections", "2"});
  check_all("timed_out",
            [](Peer& peer, const std::string&) {
              send_text(peer.fd.get(), "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell");
              return true;
            },
            {"--timeout-ms", "100"});
}

TEST_CASE("an answer that is not the expected one is counted") {
  check_all("wrong", answer_raw("HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n"));
  check_all("wrong", answer_raw(http_answer("v1", "hello")), {"--expect-version", "v2"});
  check_all("wrong", answer_raw(http_answer("v1", "hello")), {"--expect-body", "v1=hallo"});
  check_all("wrong", answer_raw(http_answer("v1", "hello") + "!"));
  check_all("wrong", answer_raw("HTTP/1.1 200 OK\r\n\r\nhello"));
  check_all("wrong", answer_raw("220 mail.example ESMTP\r\n"));
}

TEST_CASE("one wrong body among good ones is found") {
  const ThreadServer server([count = 0](Peer& peer, const std::string&) mutable {
    send_text(peer.fd.get(), http_answer("v1", ++count == 50 ? "hallo" : "hello"));
    return false;
  });
  LoadRun run(with({}, server.listener().url()));
  CHECK(run.finish() == 1);
  CHECK(run.count("wrong") == 1);
  CHECK(run.count("ok") == 99);
}

TEST_CASE("a server that is killed while it is used is counted") {
  for (const Arguments& more : {Arguments{}, Arguments{"--keep-alive", "--connections", "5"}}) {
    ProcessServer server(answer_with("v1", "hello"));
    LoadRun run(with(more, server.listener().url(), {"--rate", "500", "--requests", "300"}));
    REQUIRE(run.next_line() == "first answer: v1");
    server.kill();
    CHECK(run.finish() == 1);
    CHECK(run.attempts() == 300);
    CHECK(run.count("refused") > 0);
    CHECK(run.count("ok") + run.count("refused") + run.count("reset") + run.count("truncated") == 300);
  }
}

TEST_CASE("a kept connection that is closed upon its second request is counted, not retried") {
  const ThreadServer server([](Peer& peer, const std::string&) {
    if (peer.requests == 2) return false;
    send_text(peer.fd.get(), http_answer("v1", "hello"));
    return true;
  });
  LoadRun run(
      with({"--keep-alive", "--connections", "1", "--max-connections", "1"}, server.listener().url()));
  CHECK(run.finish() == 1);
  CHECK(run.count("ok") == 50);
  CHECK(run.count("truncated") == 50);
  CHECK(run.json()["reasons"][0]["reason"] ==
        "end of file before any byte of the answer (reused connection)");
}

TEST_CASE("a server that says Connection: close is obeyed, which is no failure") {
  const ThreadServer server([](Peer& peer, const std::string&) {
    const bool close = peer.requests == 2;
    send_text(peer.fd.get(), http_answer("v1", "hello", close ? "Connection: close\r\n" : ""));
    // The third request is never answered.
    return peer.requests <= 2;
  });
  LoadRun run(
      with({"--keep-alive", "--connections", "1", "--max-connections", "1"}, server.listener().url()));
  CHECK(run.finish() == 0);
  CHECK(run.count("ok") == 100);
  CHECK(run.json()["connections"]["closed_as_told"] == 50);
  CHECK(run.json()["connections"]["opened"] == 50);
}

TEST_CASE("an idle connection that is closed cleanly is replaced, which is no failure") {
  const ThreadServer server([](Peer& peer, const std::string&) {
    // With MSG_MORE the answer and the end of file leave together, so that the client never waits for the
    // close.
    const std::string answer = http_answer("v1", "hello");
    ::send(peer.fd.get(), answer.data(), answer.size(), MSG_NOSIGNAL | MSG_MORE);
    return false;
  });
  LoadRun run(
      with({"--keep-alive", "--connections", "1", "--max-connections", "1"}, server.listener().url()));
  CHECK(run.finish() == 0);
  CHECK(run.count("ok") == 100);
  CHECK(run.json()["connections"]["idle_closed"] == 99);
}

TEST_CASE("bytes that nobody asked for make the run fail") {
  // When the second connection's request comes, the first connection has its answer, and gets more bytes.
  const ThreadServer server([first = -1](Peer& peer, const std::string&) mutable {
    if (first < 0) first = peer.fd.get();
    else if (peer.fd.get() != first && peer.requests == 1)
      send_text(first, "HTTP/1.1 408 Request Timeout\r\n");
    send_text(peer.fd.get(), http_answer("v1", "hello"));
    return true;
  });
  LoadRun run(with({"--keep-alive", "--connections", "2"}, server.listener().url(),
                   {"--rate", "10", "--requests", "3"}));
  CHECK(run.finish() == 1);
  CHECK(run.count("ok") == 3);
  CHECK(run.json()["connections"]["idle_garbage"] == 1);
}

TEST_CASE("a request that timed out frees its connection") {
  const Arguments few = {"--rate",       "100", "--requests",        "60",
                         "--timeout-ms", "300", "--max-connections", "2"};
  for (const Arguments& more : {Arguments{}, Arguments{"--keep-alive", "--connections", "2"}}) {
    const ThreadServer server([count = 0](Peer& peer, const std::string&) mutable {
      if (++count > 2) send_text(peer.fd.get(), http_answer("v1", "hello"));
      return true;
    });
    LoadRun run(with(more, server.listener().url(), few));
    CHECK(run.finish() == 1);
    CHECK(run.count("ok") >= 20);
    CHECK(run.count("timed_out") >= 2);
    CHECK(run.count("ok") + run.count("timed_out") == 60);
  }
}

TEST_CASE("a Unix socket where nobody listens is counted") {
  const liveswap::test::TempDir directory;
  const std::string path = directory / "socket";
  {
    LoadRun run(with({"--unix", path}, "http://localhost/"));
    CHECK(run.finish() == 1);
    CHECK(run.count("other") == 100);
    CHECK(run.json()["reasons"][0]["reason"] == "connect: No such file or directory");
  }
  const auto deaf = liveswap::UniqueFd::adopt(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const Target target = *parse_target("http://localhost/", path, false);
  REQUIRE(::bind(deaf.get(), reinterpret_cast<const sockaddr*>(&target.address), target.address_size) == 0);
  LoadRun run(with({"--unix", path}, "http://localhost/"));
  CHECK(run.finish() == 1);
  CHECK(run.count("refused") == 100);
}

TEST_CASE("a connection to itself is no answer") {
  const Listener nobody;
  const int fd = nobody.fd();
  sockaddr_in address{};
  socklen_t size = sizeof address;
  ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size);
  const auto socket = liveswap::UniqueFd::adopt(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  REQUIRE(::connect(socket.get(), reinterpret_cast<sockaddr*>(&address), size) == 0);
  CHECK_FALSE(is_connected_to_itself(socket.get()));

  const auto alone = liveswap::UniqueFd::adopt(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  address.sin_port = 0;
  REQUIRE(::bind(alone.get(), reinterpret_cast<sockaddr*>(&address), size) == 0);
  ::getsockname(alone.get(), reinterpret_cast<sockaddr*>(&address), &size);
  REQUIRE(::connect(alone.get(), reinterpret_cast<sockaddr*>(&address), size) == 0);
  CHECK(is_connected_to_itself(alone.get()));
}

TEST_CASE("echoes are counted like answers") {
  const ThreadServer echo([](Peer& peer, const std::string& line) {
    send_text(peer.fd.get(), line);
    return true;
  });
  for (const Arguments& more : {Arguments{}, Arguments{"--keep-alive", "--connections", "3"}}) {
    LoadRun run(with(more, echo.listener().echo_url()));
    CHECK(run.finish() == 0);
    CHECK(run.count("ok") == 100);
  }
  const ThreadServer stale([first = std::string()](Peer& peer, const std::string& line) mutable {
    if (first.empty()) first = line;
    send_text(peer.fd.get(), first);
    return true;
  });
  LoadRun run(with({}, stale.listener().echo_url()));
  CHECK(run.finish() == 1);
  CHECK(run.count("ok") == 1);
  CHECK(run.count("wrong") == 99);
}
