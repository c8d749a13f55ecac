// The master is killed at random moments, under load, while something is under way; the next one takes
// everything over. Nothing is lost.
#include <doctest/doctest.h>

#include <cstdlib>
#include <functional>
#include <memory>
#include <optional>
#include <random>

#include "support/connection.hpp"
#include "support/load.hpp"
#include "support/mortal.hpp"
#include "support/port.hpp"

namespace scenario {
namespace {

const Words options{"--settle", "20ms", "--drain-limit", "10s", "--term-grace", "500ms"};

// How often each test kills.
int kills() {
  const char* given = std::getenv("LIVESWAP_KILLS");
  return given ? std::atoi(given) : 10;
}

// A load ends by itself after ten minutes.
constexpr int kills_for_load = 50;

unsigned seed() {
  const char* given = std::getenv("LIVESWAP_SEED");
  return given ? static_cast<unsigned>(std::atoi(given)) : 20'261'129;
}

// The longest time between a death and the next start.
int gap_ms() {
  const char* given = std::getenv("LIVESWAP_GAP_MS");
  return given ? std::atoi(given) : 30;
}

// What is killed and upgraded.
struct Subject {
  std::shared_ptr<Site> site;
  Words releases;
  Words options, arguments;
  std::string address;
  // Changes the configuration file before a reload; none: nothing is reloaded.
  std::function<void(std::mt19937&)> change = nullptr;
};

void check_whole(Mortal& app, const Subject& subject) {
  const auto head = app->head();
  const bool is_known = head == subject.releases[0] + "\n" || head == subject.releases[1] + "\n";
  CHECK_MESSAGE(is_known, "HEAD: ", head);
  CHECK(eventually([&] {
    const auto status = app->status();
    if (status.value("state", "") != "running" || status["slots"].size() != 2) return false;
    for (const auto& slot : status["slots"]) {
      unsigned ready = 0;
      for (const auto& worker : slot["workers"])
        if (worker["state"] == "ready" && worker["release"] == status["head"]) ++ready;
      if (ready != 1) return false;
    }
    return true;
  }));
  const auto status = app->status();
  CHECK(status["head"].get<std::string>() + "\n" == head);
  for (const auto& slot : status["slots"]) CHECK(slot["restarts"] == 0);
}

// Something is under way when the master is killed.
Words order(const Subject& subject, std::mt19937& random, std::string& verb) {
  const std::string target = subject.releases[random() % 2];
  verb = "upgrade";
  if (subject.change && random() % 2 == 0) {
    subject.change(random);
    verb = "reload";
    return {};
  }
  switch (random() % 6) {
    case 0: return {target, "--flip"};
    case 1: return {target, "--canary", "1", "--bake", "60ms"};
    case 2: return {target, "--probation", "100ms"};
    case 3: verb = "rollback"; return {};
    default: return {target};
  }
}

void often(Scenario& scenario, const std::string& name, const Subject& subject, const Words& load_options) {
  std::mt19937 random(seed());
  Mortal app(subject.site, subject.releases[0], options + subject.options, subject.arguments);
  std::optional<Load> load;
  unsigned long attempts = 0, failures = 0;
  const auto end_load = [&] {
    const auto report = load->stop();
    report.check_nothing_lost();
    attempts += report.attempts();
    failures += report.failures();
  };
  for (int i = 0; i < kills(); ++i) {
    CAPTURE(i);
    if (i % kills_for_load == 0) {
      if (load) end_load();
      load.emplace(scenario, subject.address, load_options);
    }
    const auto before = app->workers();
    std::string verb;
    std::optional<Process> client;
    const bool is_busy = random() % 4 != 0;
    if (is_busy) {
      const auto words = order(subject, random, verb);
      client.emplace(app.site().launch(verb, words));
    }
    let_pass(milliseconds(random() % (is_busy ? 250 : 20)));
    app.kill();
    if (client) client->wait();
    if (!is_busy) CHECK(all_run(before));
    let_pass(milliseconds(random() % static_cast<unsigned>(gap_ms())));
    app.start();
    if (!is_busy && !subject.change) CHECK(app->workers() == before);
    check_whole(app, subject);
  }
  end_load();
  MESSAGE(name, ": ", kills(), " kills, ", attempts, " attempts, ", failures, " failed");
}

Subject lent(Scenario& scenario, const std::string& mode) {
  const auto site = std::make_shared<Site>(scenario);
  return {.site = site,
          .releases = {fixture("version_v1"), fixture("version_v2")},
          .options = {"--listen-mode", mode},
          .arguments = {},
          .address = site->address()};
}

// A server that binds its own listeners, TCP and Unix.
Subject taken_over(Scenario& scenario, const Port& port, const std::string& mode) {
  return {.site = std::make_shared<Site>(scenario),
          .releases = {own_fixture("binder_v1"), own_fixture("binder_v2")},
          .options = {"--entry", "main", "--listen-mode", mode},
          .arguments = {port.text()},
          .address = port.address()};
}

// A server that keeps connections, and knows nothing of liveswap: they go from worker to worker.
Subject handing_off(Scenario& scenario, const Port& port) {
  return {.site = std::make_shared<Site>(scenario),
          .releases = {own_fixture("streamer_v1"), own_fixture("streamer_v2")},
          .options = {"--entry", "main", "--keepalive", "migrate", "--keepalive-grace", "100ms"},
          .arguments = {port.text(), scenario.dir / "gate"},
          .address = port.address()};
}

const Words new_connections{"--rate", "300"};
const Words kept_connections{"--rate", "300", "--keep-alive", "--connections", "20"};

}  // namespace

TEST_CASE_FIXTURE(Scenario, "the master is killed under load, reuseport, a connection for each request") {
  often(*this, "reuseport", lent(*this, "reuseport"), new_connections);
}

TEST_CASE_FIXTURE(Scenario, "the master is killed under load, shared, keep-alive") {
  often(*this, "shared", lent(*this, "shared"), kept_connections);
}

TEST_CASE_FIXTURE(Scenario, "the master is killed under load, listeners of the application, reuseport") {
  const Port port;
  often(*this, "reuseport, taken over", taken_over(*this, port, "reuseport"), new_connections);
}

TEST_CASE_FIXTURE(Scenario, "the master is killed under load, listeners of the application, shared") {
  const Port port;
  often(*this, "shared, taken over", taken_over(*this, port, "shared"), new_connections);
}

TEST_CASE_FIXTURE(Scenario, "the master is killed under load, connections are handed off") {
  const Port port;
  often(*this, "handed off", handing_off(*this, port), kept_connections);
}

// A listener comes and goes, TCP and Unix; the mode and what concerns workers change.
TEST_CASE_FIXTURE(Scenario, "the master is killed under load, reloads under way") {
  const Port extra;
  const auto site = std::make_shared<Site>(*this);
  const std::string file = dir / "liveswap.yaml";
  const auto change = [&](std::mt19937& random) {
    std::string listen = "m=" + site->address();
    if (random() % 2 == 0) listen += ", x=" + extra.address();
    if (random() % 2 == 0) listen += ", u=unix:" + file + ".sock";
    write_file(file, "listen: [" + listen + "]\narguments: [m, x, u]\nenvironment: {MODE: m" +
                         std::to_string(random() % 100) +
                         "}\nlisten-mode: " + (random() % 2 == 0 ? "shared" : "reuseport") + "\n");
  };
  std::mt19937 first(seed());
  change(first);
  often(*this, "reloads",
        {.site = site,
         .releases = {own_fixture("report"), own_fixture("report")},
         .options = {"--config", file},
         .arguments = {},
         .address = site->address(),
         .change = change},
        new_connections);
}

}  // namespace scenario
