#include <doctest/doctest.h>
#include <unistd.h>
#include <uv.h>

#include <atomic>
#include <nlohmann/json.hpp>
#include <thread>

#include "liveswap.hpp"
#include "master/control/control_server.hpp"
#include "test/support/temp_dir.hpp"

using namespace liveswap;
using liveswap::test::TempDir;

namespace {

// A control server that answers each command with the client's identity.
class Server {
 public:
  explicit Server(const std::string& directory, const std::string& token = "") {
    uv_loop_init(&loop_);
    // A port that is free now.
    for (std::uint16_t port = 41'000; !server_ && port < 41'100; ++port) {
      auto opened = master::ControlServer::open(loop_, {{port, directory, directory}, "127.0.0.1", token},
                                                [this](master::ConnectionId id, const protocol::Command&) {
                                                  const protocol::Json peer{{"text", server_->peer(id)}};
                                                  server_->find(id)->answer(protocol::ok_line("kill", peer));
                                                });
      if (opened) server_ = std::move(*opened);
      port_ = port;
    }
    REQUIRE(server_);
  }
  ~Server() {
    server_.reset();
    uv_run(&loop_, UV_RUN_NOWAIT);
    CHECK(uv_loop_close(&loop_) == 0);
  }

  // The client's outcome, while this thread runs the server.
  Outcome answer_to(Client::Where where) {
    where.port = port_;
    Outcome outcome;
    std::atomic<bool> done = false;
    std::thread client([&] {
      outcome = Client(where).kill();
      done = true;
    });
    while (!done) uv_run(&loop_, UV_RUN_NOWAIT);
    client.join();
    return outcome;
  }

  const master::ControlServer& operator*() const { return *server_; }

 private:
  uv_loop_t loop_{};
  std::unique_ptr<master::ControlServer> server_;
  std::uint16_t port_ = 0;
};

}  // namespace

TEST_CASE("the master knows who asks") {
  const TempDir directory;
  Server server(directory.path());
  Client::Where where;
  where.runtime_dir = directory.path();
  where.state_dir = directory.path();
  const auto local = server.answer_to(where);
  CHECK(local.text == "uid " + std::to_string(::geteuid()) + ", pid " + std::to_string(::getpid()));

  where.runtime_dir = directory / "none";
  const auto tcp = server.answer_to(where);
  CHECK_MESSAGE(tcp.text.starts_with("127.0.0.1:"), tcp.text);
  CHECK(tcp.text.ends_with(" over TCP"));
  CHECK((*server).peer(999).empty());
}

TEST_CASE("a master whose token is not known says where it is to be found") {
  const TempDir directory;
  Server server(directory.path(), "secret");
  Client::Where where;
  where.runtime_dir = directory / "none";
  where.state_dir = directory / "none";
  const auto elsewhere = server.answer_to(where);
  CHECK(elsewhere.status == no_master);
  CHECK_MESSAGE(
      elsewhere.text.find(" (pid " + std::to_string(::getpid()) +
                          ") listens in another runtime directory: " + directory.path()) != std::string::npos,
      elsewhere.text);
  CHECK(elsewhere.text.find("--runtime-dir " + directory.path()) != std::string::npos);
  where.token = "secret";
  CHECK(server.answer_to(where).status == ok);
}
