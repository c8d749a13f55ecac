// The running release's file is overwritten in every common way, a hundred times each, under load.
#include <doctest/doctest.h>
#include <signal.h>

#include <filesystem>

#include "support/connection.hpp"
#include "support/load.hpp"
#include "support/proc.hpp"

namespace scenario {
namespace {

constexpr int times = 100;

// A copy for the test to damage; `other` is the file that overwrites it.
struct Target {
  explicit Target(const Scenario& scenario)
      : path(scenario.dir.path() + "/libapp.so"),
        other(fixture("version_v2")),
        object(scenario.dir.path() + "/app.o") {
    std::filesystem::copy_file(fixture("version_v1"), path);
    std::filesystem::copy_file(fixture("version_v1"), path + ".good");
    write_file(scenario.dir.path() + "/app.s", ".globl liveswap_main\nliveswap_main: ret\n");
    const auto made = run(scenario.dir, {{"as", "-o", object, scenario.dir.path() + "/app.s"}});
    REQUIRE_MESSAGE(made.status == 0, made.err);
  }
  std::string path, other, object;
};

struct Way {
  const char* name;
  std::string script;  // for a shell; T: the target, O: another release, X: an object file, $i: the number of
                       // the repetition
};

const Way ways[] = {
    {"cp", "cp $O $T"},
    {"dd", "dd if=$O of=$T conv=notrunc bs=512 2>/dev/null"},
    {"strip", "cp $T.good $T && strip $T"},
    {"install", "install -m 755 $O $T"},
    {"mv", "cp $O $T.new && mv $T.new $T"},
    {"ld", "ld -shared -o $T $X"},
    {"truncation", "truncate -s $((i * 100)) $T"},
    {"deletion", "rm -f $T"},
};

void overwrite(const Scenario& scenario, const Target& target, const Way& way) {
  const auto done =
      run(scenario.dir,
          {{"sh", "-ec",
            "i=0; while [ $i -lt " + std::to_string(times) + " ]; do " + way.script + "; i=$((i + 1)); done"},
           {{"T", target.path}, {"O", target.other}, {"X", target.object}}});
  REQUIRE_MESSAGE(done.status == 0, way.name, ": ", done.err);
}

// The successor of a worker that died runs the committed release, whatever file is at the path.
void respawn(const Instance& app) {
  const auto before = app.workers();
  ::kill(before[0], SIGKILL);
  REQUIRE(eventually([&] {
    const auto now = app.workers();
    return now.size() == before.size() && now[0] != before[0];
  }));
  for (int i = 0; i < 10; ++i) CHECK(contains(http_get(app.address()), "v1"));
}

TEST_CASE_FIXTURE(Scenario,
                  "whatever happens to the file, workers live and respawns run the committed bytes") {
  const Target target(*this);
  Instance app(*this, target.path);
  for (const Way& way : ways) {
    CAPTURE(way.name);
    const auto before = app.workers();
    Load load(*this, app.address());
    overwrite(*this, target, way);
    const auto report = load.stop();
    report.check_nothing_lost();
    CHECK(report.answers_of("v2") == 0);
    CHECK(app.workers() == before);
    respawn(app);
  }
  CHECK(app.head() == target.path + "\n");
  // The file at the path is not usable now: an upgrade is refused, and the old release still serves.
  const auto finished = app.run("upgrade");
  CHECK(finished.status == Exit::refused);
  CHECK(contains(finished.err, "No such file"));
  CHECK(contains(http_get(app.address()), "v1"));
}

}  // namespace
}  // namespace scenario
