// How the time of commands grows with the number of workers, beside as many bare processes.
#include <doctest/doctest.h>

#include <optional>

#include "bare.hpp"
#include "report.hpp"
#include "support/control.hpp"
#include "support/instance.hpp"
#include "versions.hpp"

namespace scenario::micro {
namespace {

constexpr unsigned most = 1000;

unsigned times_for(unsigned workers) { return is_quick() ? 2 : workers > 500 ? 3 : workers > 50 ? 7 : 21; }

double run_ms(const Instance& app, const std::string& verb, const Words& words = {}) {
  // On a busy machine many workers take longer than a test waits.
  return ms_of(
      [&] { REQUIRE(app.site().launch(verb, words).wait(milliseconds(300'000)).status == Exit::ok); });
}

double spawn_ms(unsigned count) {
  std::optional<BareWorkers> workers;
  return ms_of([&] { workers.emplace(count); });
}

// Upgrades leave draining workers, which would take CPU from the next measurement.
void await_old_ones(const Instance& app, unsigned workers) {
  REQUIRE(eventually([&] {
    std::size_t all = 0;
    const Json now = app.status();
    for (const auto& slot : now.at("slots")) all += slot["workers"].size();
    return all == workers;
  }));
}

void measure_upgrades(Scenario& scenario, unsigned workers) {
  const std::string libraries[] = {version(scenario, "bench_contract", 1),
                                   version(scenario, "bench_contract", 2)};
  Instance app(scenario, libraries[0], {"--forks", std::to_string(workers)});
  const std::string bare = "spawns one after the other";
  Comparison upgrade("upgrade", workers, bare), rollback("rollback", workers, bare);
  for (unsigned i = 0; i < times_for(workers); ++i) {
    upgrade.add(run_ms(app, "upgrade", {libraries[1]}));
    await_old_ones(app, workers);
    const double spawned = spawn_ms(workers);
    upgrade.add_bare(spawned);
    rollback.add_bare(spawned);
    rollback.add(run_ms(app, "rollback"));
    await_old_ones(app, workers);
  }
}

TEST_CASE_FIXTURE(Scenario, "upgrade and rollback") {
  for (const unsigned workers : {2U, 16U, 128U, most})
    if (!is_quick() || workers <= 128) measure_upgrades(*this, workers);
}

// By the control protocol, without the time of a command.
TEST_CASE_FIXTURE(Scenario, "spawn to ready") {
  Instance app(*this, version(*this, "bench_contract", 1), {"--forks", "2"});
  Connection control(local_door(app.site()));
  Comparison spawn("spawn to ready (one slot more)", 1, "spawn to ready");
  for (int i = 0; i < (is_quick() ? 3 : 15); ++i) {
    const auto forks = [&](const char* count) {
      REQUIRE(control.send(std::string(R"({"cmd":"forks","value":")") + count + "\"}\n"));
      const Json answer = answer_of(control);
      REQUIRE_MESSAGE(answer["value"] == "OK", answer.dump());
    };
    spawn.add(ms_of([&] { forks("3"); }));
    forks("2");
    await_old_ones(app, 2);
    spawn.add_bare(spawn_ms(1));
  }
}

TEST_CASE_FIXTURE(Scenario, "commands to many workers") {
  const unsigned workers = is_quick() ? 100 : most;
  const std::string library = version(*this, "bench_contract", 1);
  Comparison message("message", workers, "a byte to each process and back");
  Comparison status("status", workers, "a byte to each process and back");
  Comparison stop("stop", workers, "the end of as many processes");
  Comparison start("start to all ready", workers, "spawns one after the other");
  for (int round = 0; round < (is_quick() ? 1 : 3); ++round) {
    std::optional<BareWorkers> bare;
    start.add_bare(ms_of([&] { bare.emplace(workers); }));
    std::optional<Instance> app;
    start.add(ms_of([&] { app.emplace(*this, library, Words{"--forks", std::to_string(workers)}); }));
    for (int i = 0; i < 7; ++i) {
      message.add(run_ms(*app, "message", {"hello"}));
      message.add_bare(ms_of([&] { bare->ask_all(); }));
      status.add(run_ms(*app, "status"));
      status.add_bare(ms_of([&] { bare->ask_all(); }));
    }
    stop.add(run_ms(*app, "stop"));
    stop.add_bare(ms_of([&] { bare->end(); }));
    app->master().wait();
  }
}

}  // namespace
}  // namespace scenario::micro
