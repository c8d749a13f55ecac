// The history has many receipts, large ones, or some that another program has written. The master reads none:
// liveswap-store does.
#include <doctest/doctest.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "support/connection.hpp"
#include "support/control.hpp"
#include "support/load.hpp"
#include "support/proc.hpp"

namespace scenario {
namespace {

constexpr int many = 60;
constexpr std::size_t slots = 1024;

std::string receipt_path(const Site& site, int number) {
  return site.state_dir() + "/history/" + std::to_string(number) + ".json";
}

// Writes receipts 3 and up, of reverted upgrades. Returns their size in bytes.
std::uint64_t fill_history(const Site& site) {
  Json receipt = Json::parse(read_file(receipt_path(site, 2)));
  const Json slot = receipt["slots"][0];
  while (receipt["slots"].size() < slots) receipt["slots"].push_back(slot);
  receipt["outcome"] = "reverted";
  std::uint64_t bytes = 0;
  for (int number = 3; number < 3 + many; ++number) {
    receipt["number"] = number;
    const std::string text = receipt.dump(1);
    write_file(receipt_path(site, number), text);
    bytes += text.size();
  }
  return bytes;
}

// Bytes that the main thread has read by read() and similar calls, from any file. The process's own number
// includes reaped children.
std::uint64_t bytes_read_by(pid_t process) {
  const std::string number = std::to_string(process);
  const std::string text = read_file("/proc/" + number + "/task/" + number + "/io");
  return std::stoull(text.substr(text.find("rchar: ") + 7));
}

std::vector<pid_t> readers_of(const Instance& app) {
  std::vector<pid_t> found;
  for (const pid_t child : app.children())
    if (contains(read_file("/proc/" + std::to_string(child) + "/comm"), "liveswap-store"))
      found.push_back(child);
  return found;
}

TEST_CASE_FIXTURE(Scenario, "the master reads no receipt, however many and large they are") {
  auto site = std::make_shared<Site>(*this);
  {
    Instance app(site, fixture("version_v1"));
    REQUIRE(app.upgrade(fixture("version_v2")).status == Exit::ok);
    const auto bytes = fill_history(*site);
    const auto before = bytes_read_by(app.master().pid());
    const auto listed = app.run("history", {"1000", "--json"});
    REQUIRE_MESSAGE(listed.status == Exit::ok, listed.err);
    CHECK(Json::parse(listed.out).size() == many + 2);
    const auto receipt = app.run("receipt", {"17", "--json"});
    REQUIRE_MESSAGE(receipt.status == Exit::ok, receipt.err);
    CHECK(Json::parse(receipt.out)["slots"].size() == slots);
    CHECK(app.upgrade(fixture("version_v1")).status == Exit::ok);
    CHECK(app.run("rollback").status == Exit::ok);
    CHECK(app.run("rollback", {"1"}).status == Exit::ok);
    // The master passes the receipt on, and does not read the file.
    CHECK(bytes_read_by(app.master().pid()) - before < bytes / 10);
    CHECK(app.run("stop").status == Exit::ok);
  }
  // This master has committed one release only; the release before is known from the history alone.
  Instance app(site, "");
  const auto before = bytes_read_by(app.master().pid());
  const auto back = app.run("rollback");
  CHECK_MESSAGE(back.status == Exit::ok, back.err);
  CHECK(app.serves(fixture("version_v2")));
  CHECK(bytes_read_by(app.master().pid()) - before < std::uint64_t{2} << 20);
}

TEST_CASE_FIXTURE(Scenario, "many questions at once are answered in turn, by a few processes") {
  Instance app(*this, fixture("version_v1"));
  REQUIRE(app.upgrade(fixture("version_v2")).status == Exit::ok);
  fill_history(app.site());
  std::vector<Connection> clients;
  for (int i = 0; i < 12; ++i) {
    clients.emplace_back(local_door(app.site()));
    clients.back().send("{\"cmd\":\"history\",\"value\":\"8\"}\n");
  }
  // These clients close before their answers.
  for (int i = 0; i < 4; ++i) clients.pop_back();
  std::size_t most = 0;
  CHECK(eventually([&] {
    const auto now = readers_of(app).size();
    most = std::max(most, now);
    CHECK(app.status()["state"] == "running");
    return now == 0 && most > 0;
  }));
  CHECK(most <= 4);
  for (Connection& client : clients) CHECK(answer_of(client)["history"].size() == 8);
}

TEST_CASE_FIXTURE(Scenario, "hostile receipts end neither the master nor the commands that meet them") {
  Instance app(*this, fixture("version_v1"));
  REQUIRE(app.upgrade(fixture("version_v2")).status == Exit::ok);
  const std::string history = app.site().state_dir() + "/history/";
  const Json good = Json::parse(read_file(history + "1.json"));
  const auto damage = [&](int number, const char* name, const Json& value) {
    Json receipt = good;
    receipt["number"] = number;
    receipt[name] = value;
    write_file(history + std::to_string(number) + ".json", receipt.dump());
  };
  damage(3, "outcome", Json::object());
  damage(4, "to", 17);
  damage(5, "to", {{"path", Json::array()}, {"id", 1e300}});
  damage(6, "to", {{"path", "../../x"}, {"id", good["to"]["id"]}});
  damage(7, "slots", "none");
  const std::size_t deep = 100'000;
  write_file(history + "8.json",
             "{\"number\":8,\"x\":" + std::string(deep, '[') + std::string(deep, ']') + "}");
  REQUIRE(::mkfifo((history + "9.json").c_str(), 0600) == 0);
  REQUIRE(::symlink("1.json", (history + "10.json").c_str()) == 0);
  for (int number = 3; number <= 10; ++number) {
    CAPTURE(number);
    const bool runs = number == 7;  // only a member that a rollback does not need is damaged
    CHECK(app.run("rollback", {std::to_string(number)}).status == (runs ? Exit::ok : Exit::failed));
    CHECK(app.run("receipt", {std::to_string(number)}).status == (number >= 8 ? Exit::failed : Exit::ok));
  }
  CHECK(app.run("history").status == Exit::ok);
  CHECK(app.run("receipt").status == Exit::ok);
  CHECK(app.serves(fixture("version_v1")));
  CHECK(app.upgrade(fixture("version_v2")).status == Exit::ok);
  CHECK(contains(app.run("history").out, "11"));
}

// Stops the process that reads the history, so that the rollback has no target yet when the next command
// comes.
class HeldRollback {
 public:
  HeldRollback(Scenario& scenario, std::shared_ptr<Site> site)
      : app_(restarted(scenario, site)), client_(local_door(*site)) {
    client_.send("{\"cmd\":\"rollback\"}\n");
    REQUIRE(eventually([&] {
      for (const pid_t reader : readers_of(app_)) held_ = reader;
      return held_ > 0 && ::kill(held_, SIGSTOP) == 0;
    }));
  }
  void go_on() const { ::kill(held_, SIGCONT); }
  Instance& app() { return app_; }
  Connection& client() { return client_; }

 private:
  // Only the history knows the earlier release, and reading it takes time.
  static Instance restarted(Scenario& scenario, std::shared_ptr<Site> site) {
    {
      Instance first(site, fixture("version_v1"));
      REQUIRE(first.upgrade(fixture("version_v2")).status == Exit::ok);
      fill_history(*site);
      REQUIRE(first.run("stop").status == Exit::ok);
    }
    (void)scenario;
    return Instance(site, "");
  }
  Instance app_;
  Connection client_;
  pid_t held_ = 0;
};

TEST_CASE_FIXTURE(Scenario, "a rollback that looks for its release hears of a stop") {
  HeldRollback rollback(*this, std::make_shared<Site>(*this));
  CHECK(rollback.app().run("stop").status == Exit::ok);
  CHECK(contains(answer_of(rollback.client())["error"].get<std::string>(), "told to stop"));
}

TEST_CASE_FIXTURE(Scenario, "an upgrade that begins meanwhile is overtaken by the rollback") {
  HeldRollback rollback(*this, std::make_shared<Site>(*this));
  auto upgrade = rollback.app().site().launch("upgrade", {fixture("never_ready")});
  REQUIRE(eventually([&] { return rollback.app().status()["state"] == "upgrading"; }));
  rollback.go_on();
  CHECK(answer_of(rollback.client())["value"] == "OK");
  CHECK(rollback.app().serves(fixture("version_v1")));
  CHECK(upgrade.wait().status == Exit::reverted);
}

}  // namespace
}  // namespace scenario
