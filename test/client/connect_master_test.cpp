// The places in which a client looks for a master.
#include <doctest/doctest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <memory>

#include "client/command_line.hpp"
#include "client/connect_master.hpp"
#include "client/explain.hpp"
#include "client/instances.hpp"
#include "client/status_query.hpp"
#include "fake_server.hpp"
#include "liveswap.hpp"
#include "test/support/temp_dir.hpp"

using namespace liveswap;
using liveswap::test::TempDir;

namespace {

const char* done = "{\"cmd\":\"status\",\"value\":\"OK\",\"status\":{\"state\":\"running\"}}\n";

// The runtime directory of another environment.
struct Elsewhere {
  explicit Elsewhere(const char* name = "liveswap") : directory(place.path() + "/" + name) {
    ::mkdir(directory.c_str(), 0700);
  }
  std::string path(std::uint16_t port) const { return directory + "/" + std::to_string(port) + ".sock"; }
  FakeServer serve(
      std::uint16_t port, FakeServer::Play play = [](int socket) { say(socket, done); }) const {
    std::ofstream(path(port) + ".lock").flush();
    return FakeServer::on_unix(path(port), std::move(play));
  }
  TempDir place;
  std::string directory;
};

// This process's environment: an empty runtime directory, and no listener on the port.
struct Here {
  Here() { ::setenv("XDG_RUNTIME_DIR", place.path().c_str(), 1); }
  ~Here() { ::unsetenv("XDG_RUNTIME_DIR"); }
  TempDir place;
  std::uint16_t port = FakeServer::on_tcp([](int) {}).port();
  Client::Where where() const {
    Client::Where where;
    where.port = port;
    where.state_dir = place.path();
    return where;
  }
};

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("a master that was started in another environment is found") {
  const Here here;
  const Elsewhere elsewhere;
  auto server = elsewhere.serve(here.port);
  CHECK(Client(here.where()).kill().status == ok);
}

TEST_CASE("not in a directory that others may write to") {
  const Here here;
  const Elsewhere elsewhere;
  auto server = elsewhere.serve(here.port);
  ::chmod(elsewhere.directory.c_str(), 0777);
  CHECK(Client(here.where()).kill().status == no_master);
  const auto attempt = client::connect_trusted({elsewhere.directory, here.port}, client::Deadline::after({}));
  CHECK(attempt.result == client::ConnectResult::forbidden);
  CHECK(contains(attempt.text, "others may write to its directory"));
}

TEST_CASE("the directory of this environment comes first, and of two others none is chosen") {
  const Here here;
  const Elsewhere one("liveswap-a"), other("liveswap-b");
  auto first = one.serve(here.port), second = other.serve(here.port);
  const auto outcome = Client(here.where()).kill();
  CHECK(outcome.status == refused);
  CHECK(contains(outcome.text, "more than one master is on port " + std::to_string(here.port)));
  CHECK(contains(outcome.text, one.directory));
  CHECK(contains(outcome.text, other.directory));

  ::mkdir((here.place / "liveswap").c_str(), 0700);
  auto own = FakeServer::on_unix(here.place / "liveswap/" + std::to_string(here.port) + ".sock",
                                 [](int socket) { say(socket, done); });
  CHECK(Client(here.where()).kill().status == ok);
}

const FakeServer::Play web_server = [](int socket) { say(socket, "HTTP/1.1 400 Bad Request\r\n\r\n"); };

TEST_CASE("a file that is called as a control socket is no master") {
  const Here here;
  const Elsewhere foreign, other("another"), listening("liveswap-app"), master("liveswap-master");
  auto web = foreign.serve(here.port, web_server);
  // Without a lock file beside it, the socket is not even tried.
  auto unlocked = FakeServer::on_unix(other.path(here.port), [](int socket) { say(socket, done); });
  auto listener = listening.serve(here.port);
  std::ofstream(listening.directory + "/." + std::to_string(here.port) + ".sock.liveswap").flush();
  const auto none = Client(here.where()).kill();
  CHECK(none.status == no_master);
  CHECK_FALSE(contains(none.text, "listens in another runtime directory"));
  for (const auto& seen : client::running_instances(std::chrono::seconds(10)).seen)
    CHECK(seen.socket.port != here.port);
  auto server = master.serve(here.port);
  CHECK(Client(here.where()).kill().status == ok);
}

TEST_CASE("sockets that hang hold up a search once, and not one by one") {
  const Here here;
  std::vector<std::unique_ptr<Elsewhere>> places;
  std::vector<std::unique_ptr<FakeServer>> servers;
  for (int i = 0; i < 12; ++i) {
    places.push_back(std::make_unique<Elsewhere>(i % 2 ? "liveswap" : "liveswap-b"));
    servers.emplace_back(new FakeServer(places.back()->serve(here.port, wait_for_end)));
  }
  const auto begin = std::chrono::steady_clock::now();
  const auto none = Client(here.where()).kill();
  CHECK(none.status == no_master);
  CHECK(contains(none.text, places[0]->path(here.port) + " does not answer"));
  const Elsewhere master("liveswap-z");
  auto server = master.serve(here.port);
  CHECK(Client(here.where()).kill().status == ok);
  CHECK(client::running_instances(std::chrono::seconds(1)).seen.size() >= 13);
  // One after the other, the three attempts would take twelve seconds.
  CHECK(std::chrono::steady_clock::now() - begin < std::chrono::seconds(12));
}

TEST_CASE("root's command does not reach the master of a stranger by chance") {
  if (::geteuid() != 0) return;
  const Here here;
  auto where = here.where();
  where.state_dir.clear();
  const protocol::Instance instance = protocol::locate_instance(where.port, here.place.path(), "");
  client::Endpoint endpoint{
      {client::ConnectResult::connected, UniqueFd(), "", 1, 77}, "/run/app/3000.sock", false};
  const auto refusal = [&](protocol::Verb verb, bool told) {
    return client::refuse_other_owner(where, instance, endpoint, verb, told);
  };
  using protocol::Verb;
  CHECK_FALSE(refusal(Verb::upgrade, true));
  REQUIRE(refusal(Verb::upgrade, false));
  CHECK(refusal(Verb::upgrade, false)->status == refused);
  CHECK(contains(refusal(Verb::upgrade, false)->text,
                 "(pid 77): if that one is meant, say --runtime-dir /run/app"));
  CHECK_FALSE(refusal(Verb::status, false));
  std::ofstream(instance.head_path()).flush();
  REQUIRE(refusal(Verb::stop, true));
  CHECK(
      contains(refusal(Verb::stop, true)->text, "root's own instance there (" + instance.head_path() + ")"));
  CHECK_FALSE(refusal(Verb::history, true));
  endpoint.attempt.user = 0;
  CHECK_FALSE(refusal(Verb::upgrade, false));
  endpoint.attempt.user = 1;
  where.runtime_dir = "/run/app";
  CHECK_FALSE(refusal(Verb::upgrade, false));
}

TEST_CASE("in the directory that was named there is none: where it is instead") {
  const Here here;
  const Elsewhere elsewhere;
  auto server = elsewhere.serve(here.port);
  auto where = here.where();
  where.runtime_dir = here.place / "named";
  const auto outcome = Client(where).kill();
  CHECK(outcome.status == no_master);
  CHECK(contains(outcome.text, "listens in another runtime directory: " + elsewhere.directory));
  CHECK(contains(outcome.text, "--runtime-dir " + elsewhere.directory));
}

TEST_CASE("where there is none, the instances that run are named") {
  const Here here;
  const Elsewhere elsewhere;
  auto server = elsewhere.serve(47'001);
  const auto outcome = Client(here.where()).kill();
  CHECK(outcome.status == no_master);
  CHECK(contains(outcome.text, "; instances that run: "));
  CHECK(contains(outcome.text, "`liveswap list`"));
}

TEST_CASE("a list of all instances asks each for its status") {
  const Elsewhere elsewhere;
  const std::string path = elsewhere.directory + "/47002.sock";
  std::ofstream(path + ".lock").flush();
  auto server = FakeServer::on_unix(path, [](int socket) {
    say(socket, "{\"cmd\":\"status\",\"value\":\"OK\",\"status\":{\"state\":\"running\"}}\n");
  });
  const auto all = client::running_instances(std::chrono::seconds(10));
  bool found = false;
  for (const auto& one : all.seen)
    found = found || (one.socket.port == 47002 && contains(one.status, "running"));
  CHECK(found);
}

TEST_CASE("how an instance is addressed") {
  Client::Where where;
  CHECK(client::command_line(where, "status") == "liveswap status");
  where.port = 3001;
  where.address = "10.0.0.1";
  where.state_dir = "/a b";
  where.runtime_dir = "/run/x";
  CHECK(client::command_line(where, "receipt 7") ==
        "liveswap receipt 7 -p 3001 -a 10.0.0.1 --state-dir '/a b' --runtime-dir /run/x");
}
