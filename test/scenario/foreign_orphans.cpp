// Workers of a killed master that belong to another user, and sockets that another user has put where a
// keeper would be: a start refuses them by name, and touches nothing of theirs.
#include <doctest/doctest.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <filesystem>
#include <utility>

#include "base/unique_fd.hpp"
#include "support/connection.hpp"
#include "support/mortal.hpp"
#include "support/nobody.hpp"

namespace scenario {
namespace {

namespace fs = std::filesystem;

const Words quick{"--settle", "20ms", "--orphan-wait", "forever"};

constexpr uid_t nobody = 65534;

void give(const std::string& directory, uid_t user) {
  for (const auto& entry : fs::recursive_directory_iterator(directory))
    REQUIRE(::lchown(entry.path().c_str(), user, user) == 0);
  REQUIRE(::lchown(directory.c_str(), user, user) == 0);
}

// A root that shares the state directory's path with the user nobody.
struct Shared {
  explicit Shared(Scenario& scenario) : site(std::make_shared<Site>(scenario)) {}

  Finished start_as_root() const {
    const auto prefix = std::exchange(site->prefix, {});
    auto finished = start();
    site->prefix = prefix;
    return finished;
  }
  Finished start() const {
    return site->run("start", quick + Words{"--listen", site->address(), fixture("version_v1")});
  }
  std::string keeper_path() const { return site->state_dir() + "/keeper.sock"; }

  std::shared_ptr<Site> site;
};

TEST_CASE_FIXTURE(Scenario, "workers of another user's killed master are refused by name, and left alone") {
  Shared shared(*this);
  if (::geteuid() != 0 || !become_nobody(*shared.site)) return;
  Mortal app(shared.site, fixture("version_v1"), quick);
  const auto workers = app->workers();
  app.kill();
  struct stat before {
  }, after{};
  REQUIRE(::lstat(shared.keeper_path().c_str(), &before) == 0);
  const auto is_untouched = [&] {
    return all_run(workers) && ::lstat(shared.keeper_path().c_str(), &after) == 0 &&
           after.st_ino == before.st_ino && contains(http_get(app.address()), "v1");
  };
  // The state directory is theirs.
  auto refused = shared.start_as_root();
  CHECK(refused.status != Exit::ok);
  CHECK_MESSAGE(contains(refused.err, "belongs to user 65534"), refused.err);
  CHECK(is_untouched());
  // It was given away, as a service is given to another user; the processes still belong to the former one.
  give(shared.site->directory(), 0);
  refused = shared.start_as_root();
  CHECK(refused.status == Exit::refused);
  CHECK_MESSAGE(contains(refused.err, shared.keeper_path() + " is served by user 65534, expected 0"),
                refused.err);
  CHECK(is_untouched());
  // Only the socket is theirs.
  REQUIRE(::lchown(shared.keeper_path().c_str(), nobody, nobody) == 0);
  refused = shared.start_as_root();
  CHECK(refused.status == Exit::refused);
  CHECK_MESSAGE(contains(refused.err, "belongs to user 65534, expected 0"), refused.err);
  CHECK(is_untouched());
  // Their own user takes them over.
  give(shared.site->directory(), nobody);
  app.start();
  CHECK(app->workers() == workers);
}

// Root's workers, and a user that may enter the directory.
TEST_CASE_FIXTURE(Scenario, "root's orphans are refused to another user") {
  Shared shared(*this);
  if (::geteuid() != 0) return;
  Mortal app(shared.site, fixture("version_v1"), quick);
  const auto workers = app->workers();
  app.kill();
  const bool is_nobody = become_nobody(*shared.site);
  give(shared.site->directory(), 0);
  ::chmod(shared.site->state_dir().c_str(), 0711);
  if (is_nobody) {
    const auto refused = shared.start();
    CHECK(refused.status != Exit::ok);
    CHECK_MESSAGE(contains(refused.err, shared.site->state_dir()), refused.err);
    CHECK(shared.site->run("stop").status != Exit::ok);
    CHECK(all_run(workers));
  }
  shared.site->prefix.clear();
  app.start();
  CHECK(app->workers() == workers);
}

// Nothing is sent to a socket that another user has bound.
TEST_CASE_FIXTURE(Scenario, "a keeper's socket that another user has forged is not asked") {
  Shared shared(*this);
  if (::geteuid() != 0) return;
  Mortal app(shared.site, fixture("version_v1"), quick);
  CHECK(app->run("stop").status == Exit::ok);
  app->master().wait();
  const std::string path = shared.keeper_path();
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  const auto listening = liveswap::UniqueFd::adopt(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
  REQUIRE(::bind(listening.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  REQUIRE(::listen(listening.get(), 8) == 0);
  REQUIRE(::lchown(path.c_str(), nobody, nobody) == 0);
  const auto refused = shared.start_as_root();
  CHECK(refused.status == Exit::refused);
  CHECK_MESSAGE(contains(refused.err, path + " belongs to user 65534, expected 0"), refused.err);
  pollfd asked{listening.get(), POLLIN, 0};
  CHECK(::poll(&asked, 1, 0) == 0);
  struct stat file {};
  CHECK(::lstat(path.c_str(), &file) == 0);
  REQUIRE(::unlink(path.c_str()) == 0);
  app.start();
}

}  // namespace
}  // namespace scenario
