#include "master/health/worker_check.hpp"

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <memory>
#include <vector>

#include "test_loop.hpp"

using namespace liveswap;
using namespace liveswap::master;
using liveswap::test::TestLoop;

namespace {

// A check of one worker. The test plays the worker: it has the connections that the worker got.
struct World {
  explicit World(const std::string& text, Milliseconds interval = Milliseconds{20},
                 Milliseconds limit = Milliseconds{2'000}, Milliseconds next_within = Milliseconds{0})
      : plan{*config::parse_liveness(text), interval, limit, {}} {
    check = std::make_unique<WorkerCheck>(
        loop, plan,
        WorkerCheck::Handlers{
            [this] { ++answered; }, [this](const std::string& why) { unanswered.push_back(why); },
            [this](const std::string& why) { cannot = why; },
            [this]() -> Result<WorkerCheck::Way> {
              if (family == 0) return fail("it does not have the listener");
              return WorkerCheck::Way{1, family, "127.0.0.1:80"};
            },
            [this](const WorkerCheck::Way&, int connection) -> std::int32_t {
              if (is_full) return 0;
              connections.push_back(UniqueFd::adopt(::dup(connection)));
              return static_cast<std::int32_t>(connections.size());
            },
            [] { return std::vector<std::string>{"LIVESWAP_SLOT=3"}; }, [this] { return others_answer; }},
        next_within);
  }
  std::int32_t last() const { return static_cast<std::int32_t>(connections.size()); }
  // Accepts and answers the last connection.
  void answer(const std::string& status) {
    check->taken(last(), WorkerCheck::Taken::accepted);
    const std::string text = "HTTP/1.1 " + status + "\r\nContent-Length: 0\r\n\r\n";
    REQUIRE(::send(connections.back().get(), text.data(), text.size(), MSG_NOSIGNAL) > 0);
    ::shutdown(connections.back().get(), SHUT_WR);
  }

  TestLoop loop;
  WorkerCheck::Plan plan;
  int family = AF_INET;
  bool is_full = false;
  bool others_answer = false;
  std::vector<UniqueFd> connections;
  unsigned answered = 0;
  std::vector<std::string> unanswered;
  std::string cannot;
  std::unique_ptr<WorkerCheck> check;  // destroyed before the loop
};

int family_of(int fd) {
  int family = 0;
  socklen_t size = sizeof family;
  REQUIRE(::getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &family, &size) == 0);
  return family;
}

}  // namespace

TEST_CASE("worker check: connect counts when the application has accepted, and goes on after the interval") {
  World world("connect");
  REQUIRE(world.loop.until([&] { return world.connections.size() == 1; }));
  CHECK(world.answered == 0);
  world.check->taken(1, WorkerCheck::Taken::accepted);
  CHECK(world.answered == 1);
  REQUIRE(world.loop.until([&] { return world.connections.size() == 2; }));
  world.check->taken(1, WorkerCheck::Taken::accepted);  // of an earlier check
  world.check->taken(2, WorkerCheck::Taken::accepted);
  REQUIRE(world.loop.until([&] { return world.connections.size() == 3; }));
  CHECK(world.answered == 1);  // told once, as nothing has changed
  CHECK(world.unanswered.empty());
}

TEST_CASE("worker check: the connection is of the listener's family") {
  for (const int family : {AF_INET, AF_INET6, AF_UNIX}) {
    CAPTURE(family);
    World world("connect");
    world.family = family;
    REQUIRE(world.loop.until([&] { return !world.connections.empty(); }));
    CHECK(family_of(world.connections.front().get()) == family);
  }
}

TEST_CASE("worker check: GET judges the status") {
  World world("GET /up 204");
  REQUIRE(world.loop.until([&] { return world.connections.size() == 1; }));
  char request[256] = "";
  REQUIRE(world.loop.until([&] {
    return *request != '\0' ||
           ::recv(world.connections[0].get(), request, sizeof request - 1, MSG_DONTWAIT) > 0;
  }));
  CHECK(std::string(request).find("GET /up HTTP/1.1\r\nHost: 127.0.0.1:80\r\n") == 0);
  world.answer("204 No Content");
  REQUIRE(world.loop.until([&] { return world.answered == 1; }));
  REQUIRE(world.loop.until([&] { return world.connections.size() == 2; }));
  world.answer("500 Oops");
  REQUIRE(world.loop.until([&] { return world.unanswered.size() == 1; }));
  CHECK(world.unanswered[0] == "found status 500, expected 204");
}

TEST_CASE("worker check: a worker that does not accept gets no second connection, and may still answer") {
  World world("GET /", Milliseconds{20}, Milliseconds{30});
  REQUIRE(world.loop.until([&] { return world.unanswered.size() >= 3; }));
  CHECK(world.unanswered[0] == "a connection was not accepted within 30 ms");
  CHECK(world.connections.size() == 1);
  world.answer("200 OK");
  REQUIRE(world.loop.until([&] { return world.answered == 1; }));
}

TEST_CASE("worker check: a worker that accepts and does not answer is asked anew by another connection") {
  World world("GET /", Milliseconds{20}, Milliseconds{30});
  REQUIRE(world.loop.until([&] { return world.connections.size() == 1; }));
  world.check->taken(1, WorkerCheck::Taken::accepted);
  REQUIRE(world.loop.until([&] { return world.connections.size() == 2; }));
  REQUIRE(!world.unanswered.empty());
  CHECK(world.unanswered[0] == "no answer within 30 ms");
}

TEST_CASE("worker check: a full channel counts as unanswered") {
  World world("connect", Milliseconds{20}, Milliseconds{30});
  world.is_full = true;
  REQUIRE(world.loop.until([&] { return world.unanswered.size() >= 2; }));
  world.is_full = false;
  REQUIRE(world.loop.until([&] { return world.connections.size() == 1; }));
}

TEST_CASE("worker check: a worker without a free descriptor has not answered, and is asked anew") {
  for (const char* check : {"connect", "GET /"}) {
    CAPTURE(check);
    World world(check, Milliseconds{20}, Milliseconds{30});
    REQUIRE(world.loop.until([&] { return world.connections.size() == 1; }));
    world.check->taken(1, WorkerCheck::Taken::no_room);
    REQUIRE(world.loop.until([&] { return world.connections.size() == 2; }));
    REQUIRE(world.unanswered.size() == 1);
    CHECK(world.unanswered[0] == "it has no free descriptor for a connection");
    world.check->taken(2, WorkerCheck::Taken::accepted);
  }
}

TEST_CASE("worker check: a worker that hangs before its first accept() is asked on, where others answer") {
  World world("connect", Milliseconds{20}, Milliseconds{30});
  world.others_answer = true;
  REQUIRE(world.loop.until([&] { return world.connections.size() == 1; }));
  world.check->taken(1, WorkerCheck::Taken::unseen);
  REQUIRE(world.loop.until([&] { return world.unanswered.size() == 2; }));
  CHECK(world.cannot.empty());
}

TEST_CASE("worker check: a worker that does not have the listener is asked again, and not blamed") {
  World world("connect", Milliseconds{20}, Milliseconds{30});
  REQUIRE(world.loop.until([&] { return world.connections.size() == 1; }));
  world.check->taken(1, WorkerCheck::Taken::not_held);
  REQUIRE(world.loop.until([&] { return world.connections.size() == 2; }));
  CHECK(world.unanswered.empty());
  CHECK(world.cannot.empty());
}

TEST_CASE("worker check: a worker that cannot be asked is not asked again") {
  World world("connect");
  SUBCASE("its accepts are not seen") {
    REQUIRE(world.loop.until([&] { return world.connections.size() == 1; }));
    world.check->taken(1, WorkerCheck::Taken::unseen);
  }
  SUBCASE("it does not have the listener") {
    world.family = 0;
    REQUIRE(world.loop.until([&] { return !world.cannot.empty(); }));
  }
  CHECK_FALSE(world.cannot.empty());
  CHECK(world.check->is_stopped());
  CHECK_FALSE(world.loop.has_timer());
  CHECK(world.unanswered.empty());
}

TEST_CASE("worker check: a command gets the worker's variables") {
  World world("run /usr/bin/printenv LIVESWAP_SLOT");
  REQUIRE(world.loop.until([&] { return world.answered == 1; }));
  World other("run /usr/bin/printenv LIVESWAP_SLOTS");
  REQUIRE(other.loop.until([&] { return !other.unanswered.empty(); }));
  CHECK(other.unanswered[0] == "exit status 1");
  CHECK(other.connections.empty());
}

TEST_CASE("worker check: what the master notices late does not count") {
  World world("connect", Milliseconds{20}, Milliseconds{100});
  REQUIRE(world.loop.until([&] { return world.connections.size() == 1; }));
  world.loop.stall(std::chrono::milliseconds(400));
  world.loop.once();
  CHECK(world.unanswered.empty());
  world.check->taken(1, WorkerCheck::Taken::accepted);  // said meanwhile, and read now
  CHECK(world.answered == 1);
}

TEST_CASE("worker check: a connection that the master could not make in time says nothing about the worker") {
  World world("connect", Milliseconds{20}, Milliseconds{50});
  world.loop.once();  // connects
  world.loop.stall(std::chrono::milliseconds(60));
  REQUIRE(world.loop.until([&] { return !world.connections.empty(); }));
  CHECK(world.unanswered.empty());
}

TEST_CASE("worker check: the next heartbeat is awaited for as long as the last one has said") {
  World world("heartbeat", Milliseconds{20}, Milliseconds{30});
  world.check->beat(Milliseconds{100});
  REQUIRE(world.loop.until([&] { return !world.unanswered.empty(); }));
  CHECK(world.unanswered[0] == "no heartbeat within 130 ms");
  world.check->beat(Milliseconds{-1});  // not what a worker host says
  CHECK(world.answered == 1);
}

TEST_CASE("worker check: a heartbeat that came before the worker served counts") {
  World world("heartbeat", Milliseconds{20}, Milliseconds{30}, Milliseconds{70});
  CHECK(world.answered == 0);  // not from within the constructor
  REQUIRE(world.loop.until([&] { return !world.unanswered.empty(); }));
  CHECK(world.answered == 1);
  CHECK(world.unanswered[0] == "no heartbeat within 100 ms");
}

TEST_CASE("worker check: heartbeats are awaited from the first on") {
  World world("heartbeat", Milliseconds{20}, Milliseconds{30});
  world.loop.once();
  CHECK_FALSE(world.loop.has_timer());
  world.check->beat(Milliseconds{20});
  CHECK(world.answered == 1);
  REQUIRE(world.loop.until([&] { return world.unanswered.size() == 2; }));
  CHECK(world.unanswered[0] == "no heartbeat within 50 ms");
  world.check->beat(Milliseconds{20});
  CHECK(world.answered == 2);
}
